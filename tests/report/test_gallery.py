"""The gallery shows a fair choice of images and marks every relationship as what it is."""

from collections.abc import Callable

import pytest
from PIL import Image

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.report.gallery import GallerySection, Panel, build_gallery, even_sample
from r1sgg_cli.report.image_words import MAX_ANSWER_LENGTH
from r1sgg_cli.report.stages import Stage
from r1sgg_cli.report.triplet_lists import MAX_TRIPLETS
from r1sgg_cli.scene_graph.graph import SceneGraph
from tests.report.conftest import make_graph, make_stage

TRUTH = make_graph(
    ["red circle", "blue square", "green triangle"],
    [[0, 0, 30, 30], [40, 40, 70, 70], [70, 0, 100, 30]],
    [(0, "left of", 1), (0, "left of", 2), (1, "below", 2)],
)


def panels_of(truth: SceneGraph, prediction: SceneGraph | None, **fields: object) -> tuple[Panel, ...]:
    values = {"failure": None, "defects": {}, "answer": "{}"} | fields
    image = ImagePrediction("a", (100, 100), truth, prediction, **values)  # type: ignore[arg-type]
    stage = make_stage("after SFT", [image])
    sections = build_gallery([stage], (stage, stage), lambda _: Image.new("RGB", (100, 100)))
    return sections[0].rows[0].panels


def verdicts(panel: Panel) -> dict[str, list[str]]:
    return {
        each.verdict: [f"{triplet.subject} {triplet.predicate} {triplet.object}" for triplet in each.triplets]
        for each in panel.lists
    }


@pytest.fixture
def gallery(stages: list[Stage], image_of: Callable[[str], Image.Image]) -> tuple[GallerySection, ...]:
    return build_gallery(stages, (stages[1], stages[2]), image_of)


def test_the_sample_is_spread_evenly() -> None:
    assert even_sample(40, 4) == [5, 15, 25, 35]
    assert even_sample(2, 6) == [0, 1]
    assert even_sample(0, 6) == []


def test_at_most_twelve_images_are_shown_each_once(gallery: tuple[GallerySection, ...]) -> None:
    ids = [row.image_id for section in gallery for row in section.rows]
    assert len(ids) == len(set(ids)) <= 12
    assert [section.title for section in gallery] == ["An even sample", "Gained most", "Lost most"]
    assert len(gallery[0].rows) == 6


def test_every_row_has_the_truth_and_each_stage(gallery: tuple[GallerySection, ...]) -> None:
    headings = {tuple(p.heading for p in row.panels) for section in gallery for row in section.rows}
    assert headings == {("ground truth", "before SFT", "after SFT", "after GRPO")}


def test_images_that_gained_did_gain(gallery: tuple[GallerySection, ...]) -> None:
    for row in gallery[1].rows:
        before, after = (len(verdicts(panel).get("matched", [])) for panel in row.panels[2:])
        assert after > before


def test_each_relationship_is_matched_wrong_or_missed() -> None:
    prediction = make_graph(
        ["red circle", "blue square", "green circle"],
        [[1, 1, 31, 31], [40, 40, 70, 70], [70, 0, 100, 30]],
        [(0, "left of", 1), (0, "left of", 2)],
    )
    truth_panel, panel = panels_of(TRUTH, prediction)
    assert len(verdicts(truth_panel)["truth"]) == 3
    assert verdicts(panel) == {
        "matched": ["red circle left of blue square"],
        "wrong": ["red circle left of green circle"],
        "missed": ["red circle left of green triangle", "blue square below green triangle"],
    }
    assert [box.mark for box in panel.boxes] == ["matched", "matched", "wrong"]
    assert panel.summary == "1/3 relationships · 2/3 objects"


def test_an_exact_repeat_is_listed_once() -> None:
    repeated = make_graph(["cat", "dog"], [[0, 0, 30, 30], [40, 0, 70, 30]], [(0, "near", 1)] * 3 + [(1, "on", 0)] * 2)
    truth = make_graph(["cat", "dog"], [[0, 0, 30, 30], [40, 0, 70, 30]], [(0, "near", 1)])
    assert verdicts(panels_of(truth, repeated)[1]) == {
        "matched": ["cat near dog"],
        "wrong": ["dog on cat"],
    }


def test_a_second_copy_of_a_matched_object_is_wrong() -> None:
    twice = make_graph(["cat", "cat"], [[0, 0, 30, 30], [0, 0, 30, 30]], [])
    truth = make_graph(["cat"], [[0, 0, 30, 30]], [])
    assert sorted(box.mark for box in panels_of(truth, twice)[1].boxes) == ["matched", "wrong"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("truncated", "ends before"),
        ("no_json", "no JSON"),
        ("not_a_graph", "no list of objects"),
        ("missing", "no answer"),
    ],
)
def test_a_failure_is_shown_with_its_kind_and_misses_everything(kind: str, said: str) -> None:
    panel = panels_of(TRUTH, None, failure=kind, answer="")[1]
    assert panel.failure.startswith(f"{kind}: ")
    assert said in panel.failure
    assert len(verdicts(panel)["missed"]) == 3
    assert panel.boxes == ()


def test_defects_are_named_with_their_counts() -> None:
    panel = panels_of(TRUTH, TRUTH, defects={"repeated_id": 2, "bad_box": 0})[1]
    assert panel.defects == "repeated id × 2"


def test_an_endless_answer_is_cut_and_says_so() -> None:
    many = make_graph(["cat"] * 50, [[0, 0, 9, 9]] * 50, [(0, "near", i) for i in range(1, 50)])
    panel = panels_of(TRUTH, many, answer="x" * (MAX_ANSWER_LENGTH + 7))[1]
    assert panel.answer is not None
    assert panel.answer.endswith("… and 7 more characters")
    wrong = next(each for each in panel.lists if each.verdict == "wrong")
    assert (len(wrong.triplets), wrong.num_hidden) == (MAX_TRIPLETS, 19)
    assert panel.num_hidden_boxes == 10
    assert len(panel.objects) == 50
