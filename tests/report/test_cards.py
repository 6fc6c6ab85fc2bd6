"""A card has both graphs of an image; what belongs together carries the same key, what is right says so by its sign."""

import pytest

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.report.card_parts import Card, CardPanel, CardPhoto
from r1sgg_cli.report.cards import make_card
from r1sgg_cli.report.verdicts import Verdicts, judge
from r1sgg_cli.scene_graph.graph import SceneGraph
from tests.report.conftest import make_graph

TRUTH = make_graph(
    ["man", "horse", "hat"],
    [[0, 0, 30, 30], [40, 40, 70, 70], [70, 0, 100, 30]],
    [(0, "riding", 1), (0, "wearing", 2), (0, "riding", 1)],
)
ANSWER = make_graph(
    ["horse", "man", "dog"],
    [[41, 40, 70, 70], [0, 0, 30, 30], [70, 0, 100, 30]],
    [(1, "riding", 0), (1, "near", 0), (2, "near", 1)],
)
PHOTO = CardPhoto("data:,", (400, 400))


def image_of(prediction: SceneGraph | None, failure: str | None = None) -> ImagePrediction:
    return ImagePrediction("a", (100, 100), TRUTH, prediction, failure, {"prose": 2}, "{}")


def card_of(*answers: ImagePrediction) -> Card:
    return make_card([f"run {i}" for i in range(len(answers))], answers, [judge(a) for a in answers], PHOTO)


def listed(panel: CardPanel) -> dict[str, list[str]]:
    return {g.verdict: [f"{t.subject} {t.predicate} {t.object}" for t in g.triplets] for g in panel.lists}


@pytest.fixture(scope="module")
def card() -> Card:
    return card_of(image_of(ANSWER))


def test_every_object_and_every_different_relationship_has_a_verdict() -> None:
    verdicts = judge(image_of(ANSWER))
    assert verdicts.annotated_objects == {0: "matched", 1: "matched", 2: "missed"}
    assert verdicts.annotated_triplets == {0: "matched", 1: "missed"}
    assert verdicts.predicted_objects == {0: "matched", 1: "matched", 2: "wrong"}
    assert verdicts.predicted_triplets == {0: "matched", 1: "wrong", 2: "wrong"}
    assert (verdicts.partner, verdicts.num_matched) == ({0: 1, 1: 0}, 1)


def test_what_has_no_graph_misses_everything() -> None:
    missed = Verdicts(dict.fromkeys(range(3), "missed"), dict.fromkeys(range(2), "missed"), {}, {}, {})
    assert judge(image_of(None, "no_json")) == missed


def test_both_sides_list_what_is_matched_missed_and_wrong(card: Card) -> None:
    truth, answer = card.panels
    assert listed(truth) == {"matched": ["man riding horse"], "missed": ["man wearing hat"]}
    assert listed(answer) == {
        "matched": ["man riding horse"],
        "wrong": ["man near horse", "dog near man"],
        "missed": ["man wearing hat"],
    }
    assert [(g.sign, g.heading) for g in answer.lists] == [("✓", "1 matched"), ("✗", "2 wrong"), ("○", "1 missed")]
    assert (truth.summary, answer.summary) == ("2 relationships · 3 objects", "1/2 relationships · 2/3 objects")


def test_a_matched_object_has_the_key_of_the_annotated_one(card: Card) -> None:
    truth, answer = card.panels
    assert {box.view.name: box.key for box in truth.boxes} == {"man": "t0", "horse": "t1", "hat": "t2"}
    assert {box.view.name: box.key for box in answer.boxes} == {"man": "t0", "horse": "t1", "dog": "a2"}
    assert answer.drawing is not None
    assert {node.node.name: node.key for node in answer.drawing.nodes} == {"man": "t0", "horse": "t1", "dog": "a2"}


def test_an_arrow_its_words_and_its_lines_share_a_link(card: Card) -> None:
    answer = card.panels[1]
    assert answer.drawing is not None
    arrows = {arrow.link: arrow for arrow in answer.drawing.arrows}
    assert (
        {triplet.link for group in answer.lists[:2] for triplet in group.triplets} == set(arrows) == {"t0>t1", "a2>t0"}
    )
    both = arrows["t0>t1"]
    assert [line.text for line in both.arrow.lines] == ["✓ riding", "✗ near"]
    assert (both.verdict, arrows["a2>t0"].verdict) == ("matched", "wrong")


def test_two_answers_stand_beside_an_annotated_graph_that_takes_no_side() -> None:
    truth, first, second = card_of(image_of(ANSWER), image_of(None, "truncated")).panels
    assert listed(truth) == {"truth": ["man riding horse", "man wearing hat"]}
    assert {box.view.mark for box in truth.boxes} == {"truth"}
    assert first.failure == ""
    assert second.failure.startswith("truncated: ")
    assert (second.boxes, second.drawing, set(listed(second))) == ((), None, {"missed"})


def test_objects_that_only_one_answer_has_are_not_linked_to_the_others() -> None:
    _, first, second = card_of(image_of(ANSWER), image_of(ANSWER)).panels
    assert {box.key for box in first.boxes} & {box.key for box in second.boxes} == {"t0", "t1"}


def test_an_empty_graph_is_no_failure() -> None:
    answer = card_of(image_of(make_graph([], [], []))).panels[1]
    assert (answer.failure, answer.drawing, answer.summary) == ("", None, "0/2 relationships · 0/3 objects")


def test_large_boxes_come_first_so_that_small_ones_can_be_pointed_at() -> None:
    nested = make_graph(["cup", "table"], [[40, 40, 50, 50], [0, 0, 100, 100]], [])
    assert [box.view.name for box in card_of(image_of(nested)).panels[1].boxes] == ["table", "cup"]
