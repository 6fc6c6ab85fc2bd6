"""What tests of every package share: the folder of real files, a small data set, tiny checkpoints of every family."""

import gc
import json
import os
import resource
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may wait for a network; before transformers is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors gain nothing from threads, and lose much on busy cores


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several workers share the files, those that train come first: small ones fill both workers at the end."""
    if hasattr(config, "workerinput"):
        training = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in training)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage after all is imported, and not among modules and tests: they live as long as the process."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


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


@contextmanager
def files_no_larger_than(num_bytes: int) -> Iterator[None]:
    """As on a full disk: a write goes in part way, then fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def save_resized(dataset: Path, folder: Path, sizes_wh: Sequence[tuple[int, int]]) -> Path:
    """Images of a prepared data set's test split, the first in the first of `sizes_wh` and so on, boxes likewise."""
    from datasets import DatasetDict

    from r1sgg_cli.data.rows import load_rows

    def resized(row: dict[str, Any], size_wh: tuple[int, int]) -> dict[str, Any]:
        scale = [new / old for new, old in zip(size_wh, row["image"].size, strict=True)] * 2
        objects = json.loads(row["objects"])
        for item in objects:
            item["bbox"] = [value * factor for value, factor in zip(item["bbox"], scale, strict=True)]
        return {**row, "image": row["image"].resize(size_wh), "objects": json.dumps(objects)}

    rows = load_rows(str(dataset), "test").select(range(len(sizes_wh)))
    sizes = iter(sizes_wh)
    made = rows.map(lambda row: resized(row, next(sizes)))
    DatasetDict({"train": made, "test": made}).save_to_disk(folder)
    shutil.copy(dataset / "vocabulary.json", folder)
    return folder


@pytest.fixture(scope="session")
def wide_dataset(tmp_path_factory: pytest.TempPathFactory, synthetic_dataset: Path) -> Path:
    """Four scenes of 200 × 100 pixels."""
    return save_resized(synthetic_dataset, tmp_path_factory.mktemp("wide") / "data", [(200, 100)] * 4)


@pytest.fixture(scope="session")
def mixed_dataset(tmp_path_factory: pytest.TempPathFactory, synthetic_dataset: Path) -> Path:
    """Four scenes of four shapes, for which a model sees different numbers of image tokens."""
    sizes_wh = [(200, 100), (100, 100), (60, 180), (40, 40)]
    return save_resized(synthetic_dataset, tmp_path_factory.mktemp("mixed") / "data", sizes_wh)


@pytest.fixture(scope="session")
def ten_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set of ten training scenes, for runs of several epochs."""
    from r1sgg_cli.data.cleaning import CleaningRules
    from r1sgg_cli.data.prepare import prepare_dataset
    from r1sgg_cli.data.readers.synthetic import open_synthetic

    folder = tmp_path_factory.mktemp("ten_scenes") / "data"
    source = open_synthetic(num_images=10, num_test=1, seed=1, drop_relationships=0.2)
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
