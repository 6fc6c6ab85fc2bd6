"""One image of a report: what is annotated beside what was answered, every part with the key that links it.

An object's box, its node, and the same object on the other side share a key; what stands for a relationship (arrow,
words, line of a list) names the keys of its two ends. The page's script lights up whatever belongs together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.report.card_parts import (
    Card,
    CardArrow,
    CardBox,
    CardDrawing,
    CardNode,
    CardPanel,
    CardPhoto,
)
from r1sgg_cli.report.image_words import (
    alt_of,
    annotated_summary,
    answer_summary,
    defects_of,
    failure_of,
    shortened_answer,
)
from r1sgg_cli.report.node_layout import QUICK
from r1sgg_cli.report.overlay import MAX_BOXES, largest_first, lay_out_boxes, num_hidden_boxes
from r1sgg_cli.report.samples import drawn_graph
from r1sgg_cli.report.triplet_lists import TripletList, link_between, triplet_lists
from r1sgg_cli.report.verdicts import SIGNS, Verdict, Verdicts, judge
from r1sgg_cli.scene_graph.graph import SceneGraph

SIDES = "ab"
"""Of the answers: the first letter of the keys of objects that only one of them has."""


@dataclass(frozen=True, slots=True)
class _Side:
    """A graph with the verdict and the key of each of its objects, and the verdicts of its triplets."""

    graph: SceneGraph
    objects: Mapping[int, Verdict]
    triplets: Mapping[int, Verdict]
    keys: Sequence[str]


def make_card(
    headings: Sequence[str], answers: Sequence[ImagePrediction], judged: Sequence[Verdicts], photo: CardPhoto
) -> Card:
    """The card of one image from the answers of one run or of two, each with its heading and the verdicts on it.

    With one answer, what is annotated is told apart into matched and missed; with two it stands for itself.
    """
    panels = [_truth_panel(answers[0], judged[0] if len(judged) == 1 else None, photo)]
    panels += [
        _answer_panel(*parts, photo) for parts in zip(headings, answers, judged, SIDES[: len(answers)], strict=True)
    ]
    return Card(answers[0].image_id, photo, tuple(panels))


def _truth_panel(image: ImagePrediction, verdicts: Verdicts | None, photo: CardPhoto) -> CardPanel:
    graph = image.ground_truth
    judged = verdicts or judge(replace(image, prediction=None))
    objects, triplets = judged.annotated_objects, judged.annotated_triplets
    if verdicts is None:
        objects, triplets = _as_they_are(objects), _as_they_are(triplets)
    side = _Side(graph, objects, triplets, _annotated_keys(graph))
    return CardPanel(
        heading="ground truth",
        summary=annotated_summary(len(triplets), len(graph.ids)),
        alt=alt_of("ground truth", image, graph),
        failure="",
        boxes=_boxes(side, photo),
        num_hidden_boxes=num_hidden_boxes(graph),
        drawing=_drawing(side),
        lists=_lists(side, ("matched", "missed") if verdicts else ("truth",)),
        defects="",
        answer=None,
    )


def _answer_panel(heading: str, image: ImagePrediction, verdicts: Verdicts, letter: str, photo: CardPhoto) -> CardPanel:
    truth, graph = image.ground_truth, image.prediction
    annotated = _Side(truth, verdicts.annotated_objects, verdicts.annotated_triplets, _annotated_keys(truth))
    answered = None
    if graph is not None:
        keys = [f"t{verdicts.partner[i]}" if i in verdicts.partner else f"{letter}{i}" for i in range(len(graph.ids))]
        answered = _Side(graph, verdicts.predicted_objects, verdicts.predicted_triplets, keys)
    return CardPanel(
        heading=heading,
        summary=answer_summary(verdicts),
        alt=alt_of(heading, image, graph),
        failure=failure_of(image),
        boxes=_boxes(answered, photo) if answered else (),
        num_hidden_boxes=num_hidden_boxes(graph) if graph else 0,
        drawing=_drawing(answered) if answered else None,
        lists=(*(_lists(answered, ("matched", "wrong")) if answered else ()), *_lists(annotated, ("missed",))),
        defects=defects_of(image),
        answer=shortened_answer(image.answer),
    )


def _as_they_are(verdicts: Mapping[int, Verdict]) -> dict[int, Verdict]:
    """Neither matched nor missed: where two answers stand beside them, the one may have what the other has not."""
    return dict.fromkeys(verdicts, "truth")


def _annotated_keys(graph: SceneGraph) -> list[str]:
    return [f"t{i}" for i in range(len(graph.ids))]


def _boxes(side: _Side, photo: CardPhoto) -> tuple[CardBox, ...]:
    num_objects = len(side.graph.ids)
    order = largest_first(side.graph, range(min(num_objects, MAX_BOXES)))
    marks = [side.objects[i] for i in range(num_objects)]
    views = lay_out_boxes(side.graph, marks, photo.view_wh, order)
    return tuple(CardBox(side.keys[i], view) for i, view in zip(order, views, strict=True))


def _drawing(side: _Side) -> CardDrawing | None:
    """The graph with the sign of its verdict before each predicate; None without objects."""
    if not side.graph.ids:
        return None
    verdict_of = {side.graph.triplets[i]: verdict for i, verdict in side.triplets.items()}
    signed = [t._replace(predicate=f"{SIGNS[verdict_of[t]]} {t.predicate}") for t in side.graph.triplets]
    drawn = drawn_graph(replace(side.graph, triplets=tuple(signed)), QUICK)
    best: dict[str, Verdict] = {}
    for triplet, verdict in verdict_of.items():
        link = link_between(side.keys, triplet.subject, triplet.object)
        best[link] = verdict if best.get(link) != "matched" else "matched"
    nodes = (CardNode(side.keys[n.object], side.objects[n.object], n) for n in drawn.drawing.nodes)
    arrows = ((link_between(side.keys, a.subject, a.object), a) for a in drawn.drawing.arrows)
    return CardDrawing(
        drawn.drawing.height,
        tuple(nodes),
        tuple(CardArrow(link, best[link], arrow) for link, arrow in arrows),
        drawn.drawing.caption_y,
        drawn.alt,
        drawn.notes,
    )


def _lists(side: _Side, verdicts: Sequence[Verdict]) -> tuple[TripletList, ...]:
    return triplet_lists(side.graph, side.triplets, verdicts, side.keys)
