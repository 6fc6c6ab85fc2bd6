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
    from r1sgg_cli.data.rows import save_rows
    from r1sgg_cli.data.sources import synthetic_source

    folder = tmp_path_factory.mktemp("synthetic") / "data"
    source = synthetic_source(num_images=500, num_test=12, seed=0, drop_relationships=0.5)
    save_rows(source.splits, folder, source.vocabulary, source.description)
    return folder


@pytest.fixture(scope="session")
def ten_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set of ten training scenes, for runs of several epochs."""
    from r1sgg_cli.data.rows import save_rows
    from r1sgg_cli.data.sources import synthetic_source

    folder = tmp_path_factory.mktemp("ten") / "data"
    source = synthetic_source(num_images=10, num_test=1, seed=1, drop_relationships=0.2)
    save_rows(source.splits, folder, source.vocabulary, source.description)
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
