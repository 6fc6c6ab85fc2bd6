"""What tests of every package share: the folder of real files, a small data set, tiny checkpoints of every family."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may wait for a network; before transformers is imported


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real annotation files and golden values beside a development checkout."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip("needs the folder `shared` with real annotation files beside the checkout")
    return path


@pytest.fixture(scope="session")
def synthetic_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set of 500 sparse training scenes and 12 test scenes."""
    from r1sgg_cli.data.cleaning import CleaningRules
    from r1sgg_cli.data.prepare import prepare_dataset
    from r1sgg_cli.data.readers.synthetic import open_synthetic

    folder = tmp_path_factory.mktemp("synthetic") / "data"
    source = open_synthetic(num_images=500, num_test=12, seed=0, drop_relationships=0.5)
    prepare_dataset(source, folder, CleaningRules(source.vocabulary))
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory, synthetic_dataset: Path) -> Callable[[str], Path]:
    """A function from model type to the folder of a tiny random checkpoint whose tokenizer knows the data set."""
    from r1sgg_cli.models.tiny import build_tiny_checkpoint
    from r1sgg_cli.training.examples import tokenizer_texts

    @cache
    def build(model_type: str) -> Path:
        folder = tmp_path_factory.mktemp(model_type)
        build_tiny_checkpoint(folder, model_type, tokenizer_texts(str(synthetic_dataset), model_type), seed=0)  # type: ignore[arg-type]
        return folder

    return build
