"""A folder as `infer` leaves it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.answers_file import AnswersFile, worker_file
from r1sgg_cli.inference.ground_truth import ImageTruth, save_ground_truth
from r1sgg_cli.inference.run_record import RunRecord, save_run
from r1sgg_cli.scene_graph.graph import graph_from_rows
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary

needs_dictionary = pytest.mark.skipif(
    not Path("/usr/share/wordnet/data.noun").is_file(), reason="needs WordNet (`apt-get install wordnet-base`)"
)

ANSWERS_FILE = worker_file("here-0")
"""What the one worker of a test appends to."""

FolderMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def vg150_wordnet() -> Any:
    """WordNet with the classes of VG150; it takes seconds to load."""
    from r1sgg_cli.inference.wordnet import load_wordnet

    return load_wordnet(load_vocabulary("vg150"))


def make_answer(image_id: str, text: str = "{}", box_space_wh: tuple[float, float] = (1000, 1000)) -> Answer:
    """An answer with the rest filled in."""
    return Answer(image_id, box_space_wh, (Sample(text, "stop", len(text)),))


def make_run(vocabulary: bool = True) -> RunRecord:
    """A run record."""
    return {
        "model": "runs/sft",
        "model_fingerprint": None,
        "base": None,
        "revision": None,
        "family": "qwen2_vl",
        "dataset": "data/shapes",
        "dataset_fingerprint": None,
        "annotated": True,
        "split": "test",
        "split_size": 9,
        "limit": None,
        "task": "sgg",
        "prompts": {},
        "generation": {},
        "vocabulary": {"objects": ["Man", "horse"], "predicates": ["sitting-on", "near"]} if vocabulary else None,
        "versions": {},
        "command": "r1sgg infer runs/sft answers",
    }


def make_truth(image_id: str) -> ImageTruth:
    """A 200 × 100 image with a man on a horse."""
    objects = [{"id": "man.1", "bbox": [0, 0, 20, 10]}, {"id": "horse.2", "bbox": [100, 50, 200, 100]}]
    relationships = [{"subject": "man.1", "predicate": "sitting on", "object": "horse.2"}]
    return ImageTruth(image_id, (200, 100), graph_from_rows(objects, relationships, (200, 100)))


@pytest.fixture
def make_folder(tmp_path: Path) -> FolderMaker:
    """`make_folder(["a", "b"], [answer, …])`: run.json, ground truth of the images, answers."""

    def make(image_ids: Sequence[str], answers: Sequence[Answer], *, vocabulary: bool = True) -> Path:
        folder = tmp_path / "answers"
        save_run(make_run(vocabulary), folder)
        save_ground_truth([make_truth(image_id) for image_id in image_ids], folder)
        with AnswersFile(folder, ANSWERS_FILE) as file:
            file.append(answers)
        return folder

    return make
