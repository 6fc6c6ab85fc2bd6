"""Of what an answer says of one pair of objects, the first predicate can be right."""

import pytest

from r1sgg_cli.rewards.first_guesses import first_guesses
from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows

BOXES = {
    "man.1": [0, 0, 40, 40],
    "man.2": [5, 0, 45, 40],  # IoU 0.78 with the first
    "man.3": [100, 0, 140, 40],
    "horse.4": [0, 50, 60, 90],
}
Links = list[tuple[str, str, str]]
RIDING = ("man.1", "riding", "horse.4")


def graph(links: Links) -> SceneGraph:
    rows = [{"subject": subject, "predicate": predicate, "object": target} for subject, predicate, target in links]
    return graph_from_rows([{"id": name, "bbox": box} for name, box in BOXES.items()], rows, (200, 100))


@pytest.mark.parametrize(
    ("predicted", "annotated", "kept"),
    [
        pytest.param([RIDING, ("man.3", "near", "horse.4")], [RIDING], [0, 1], id="one of each pair"),
        pytest.param([("man.1", "on", "horse.4"), RIDING], [RIDING], [0], id="the second of a pair"),
        pytest.param([RIDING, ("horse.4", "under", "man.1")], [RIDING], [0, 1], id="the other way is another pair"),
        pytest.param([RIDING, ("man.1", "on", "horse.4"), RIDING], [RIDING], [0, 2], id="said again is no guess"),
        pytest.param([RIDING, ("man.2", "on", "horse.4")], [RIDING], [0], id="a copy is the same object"),
        pytest.param([RIDING, ("man.1", "on", "man.3")], [], [0, 1], id="nothing annotated"),
        pytest.param([], [RIDING], [], id="nothing said"),
        pytest.param(
            [RIDING, ("man.1", "on", "horse.4"), ("man.1", "near", "horse.4")],
            [("man.3", "on", "horse.4"), ("man.3", "has", "horse.4")],
            [0, 1],
            id="as many as an annotated pair of these names has",
        ),
    ],
)
def test_what_can_be_right(predicted: Links, annotated: Links, kept: list[int]) -> None:
    assert list(first_guesses(graph(predicted), graph(annotated))) == kept


def test_all_that_is_annotated_can_be_right() -> None:
    links = [(subject, word, "horse.4") for subject in ("man.1", "man.2", "man.3") for word in ("on", "near")]
    truth = graph([*links, links[0]])
    assert list(first_guesses(truth, truth)) == list(range(7))
