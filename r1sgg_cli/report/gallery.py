"""The gallery: which held-out images it shows, and for each one the truth beside what every stage answered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.metrics.objects import match_objects
from r1sgg_cli.metrics.triplets import match_triplets
from r1sgg_cli.report.overlay import (
    MAX_BOXES,
    BoxMark,
    BoxView,
    Photo,
    encode_photo,
    is_crowded,
    lay_out_boxes,
    object_labels,
)
from r1sgg_cli.report.stages import Stage
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.listing import CAUSES

Verdict = Literal["truth", "matched", "wrong", "missed"]
SIGNS: dict[Verdict, str] = {"truth": "•", "matched": "✓", "wrong": "✗", "missed": "○"}
NUM_SAMPLED = 6
NUM_CHANGED = 3
"""Images in each of the groups "gained most" and "lost most"."""
MAX_TRIPLETS = 30
MAX_ANSWER_LENGTH = 4000
"""Characters of a raw answer."""


@dataclass(frozen=True, slots=True)
class TripletGroup:
    """Triplets of one panel that share a verdict."""

    verdict: Verdict
    sign: str
    heading: str
    triplets: tuple[tuple[str, str, str], ...]
    num_hidden: int


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a row: the truth, or one stage's answer."""

    heading: str
    summary: str
    alt: str
    failure: str
    boxes: tuple[BoxView, ...]
    num_hidden_boxes: int
    objects: tuple[str, ...]
    """Labels of all objects where the boxes carry numbers only."""
    groups: tuple[TripletGroup, ...]
    defects: str
    answer: str | None
    """None for the truth."""


@dataclass(frozen=True, slots=True)
class GalleryRow:
    """One held-out image."""

    image_id: str
    photo: Photo
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class GallerySection:
    """Images that were chosen by one rule."""

    title: str
    rule: str
    rows: tuple[GalleryRow, ...]


def build_gallery(
    stages: Sequence[Stage], compared: tuple[Stage, Stage], image_of: Callable[[str], Image.Image]
) -> tuple[GallerySection, ...]:
    """At most twelve images: an even sample, then those that gained and those that lost most between two stages."""
    before, after = (_num_matched(stage) for stage in compared)
    sampled = even_sample(len(before), NUM_SAMPLED)
    changes = {i: after[i] - before[i] for i in range(len(before)) if i not in sampled}
    gained = sorted((i for i in changes if changes[i] > 0), key=lambda i: -changes[i])[:NUM_CHANGED]
    lost = sorted((i for i in changes if changes[i] < 0), key=lambda i: changes[i])[:NUM_CHANGED]
    span = f"in matched relationships between {compared[0].name} and {compared[1].name}; of equals, the first by id."
    chosen = (
        (
            "An even sample",
            "Spaced evenly over all held-out images by id, whatever the answers.",
            sampled,
        ),
        ("Gained most", f"Of all other images, those that gained most {span}", gained),
        ("Lost most", f"Of all other images, those that lost most {span}", lost),
    )
    return tuple(
        GallerySection(title, rule, tuple(_row(stages, i, image_of) for i in indices))
        for title, rule, indices in chosen
        if indices
    )


def even_sample(num_images: int, num_sampled: int) -> list[int]:
    """Indices of the middles of `num_sampled` equal parts; all indices when there are no more."""
    num_sampled = min(num_sampled, num_images)
    return [(2 * part + 1) * num_images // (2 * num_sampled) for part in range(num_sampled)]


def _num_matched(stage: Stage) -> list[int]:
    return [
        0 if image.prediction is None else len(match_triplets(image.ground_truth, image.prediction))
        for image in stage.predictions.images
    ]


def _row(stages: Sequence[Stage], index: int, image_of: Callable[[str], Image.Image]) -> GalleryRow:
    first = stages[0].predictions.images[index]
    photo = encode_photo(image_of(first.image_id))
    panels = (answer_panel(stage.name, stage.predictions.images[index], photo) for stage in stages)
    return GalleryRow(first.image_id, photo, (truth_panel(first, photo), *panels))


def truth_panel(image: ImagePrediction, photo: Photo) -> Panel:
    """What is annotated of an image."""
    graph = image.ground_truth
    group = _group("truth", graph, distinct_triplets(graph))
    return Panel(
        heading="ground truth",
        summary=summary_of("", len(distinct_triplets(graph)), "", len(graph.ids)),
        alt=alt_of("ground truth", image, graph),
        failure="",
        boxes=lay_out_boxes(graph, ["truth"] * len(graph.ids), photo.view_wh),
        num_hidden_boxes=max(0, len(graph.ids) - MAX_BOXES),
        objects=object_labels(graph) if is_crowded(graph) else (),
        groups=(group,),
        defects="",
        answer=None,
    )


def answer_panel(heading: str, image: ImagePrediction, photo: Photo) -> Panel:
    """What was answered for an image, each part beside what is annotated."""
    truth, graph = image.ground_truth, image.prediction
    if graph is None:
        return _failed_panel(heading, image)
    hits = dict(match_triplets(truth, graph))
    found = {predicted for _, predicted in match_objects(truth, graph)}
    marks: list[BoxMark] = ["matched" if i in found else "wrong" for i in range(len(graph.ids))]
    return Panel(
        heading=heading,
        summary=summary_of(f"{len(hits)}/", len(distinct_triplets(truth)), f"{len(found)}/", len(truth.ids)),
        alt=alt_of(heading, image, graph),
        failure="",
        boxes=lay_out_boxes(graph, marks, photo.view_wh),
        num_hidden_boxes=max(0, len(graph.ids) - MAX_BOXES),
        objects=object_labels(graph) if is_crowded(graph) else (),
        groups=_compared_groups(truth, graph, hits),
        defects=defects_of(image),
        answer=shortened_answer(image.answer),
    )


def _failed_panel(heading: str, image: ImagePrediction) -> Panel:
    missed = distinct_triplets(image.ground_truth)
    return Panel(
        heading=heading,
        summary=summary_of("0/", len(missed), "0/", len(image.ground_truth.ids)),
        alt=f"{heading}: no graph for image {image.image_id}",
        failure=failure_of(image),
        boxes=(),
        num_hidden_boxes=0,
        objects=(),
        groups=(_group("missed", image.ground_truth, missed),),
        defects="",
        answer=shortened_answer(image.answer),
    )


def defects_of(image: ImagePrediction) -> str:
    """What was noted while an answer was read, each kind with its count."""
    return ", ".join(f"{kind.replace('_', ' ')} × {count}" for kind, count in image.defects.items() if count)


def failure_of(image: ImagePrediction) -> str:
    """Why an image has no graph: the kind in one word, then in a phrase."""
    kind = image.failure or "failed"
    return f"{kind}: {CAUSES.get(kind, 'no graph could be read')}"


def distinct_triplets(graph: SceneGraph) -> list[int]:
    """Indices of a graph's triplets without exact repeats, which are scored once and so listed once."""
    return sorted({triplet: i for i, triplet in reversed(list(enumerate(graph.triplets)))}.values())


def _compared_groups(truth: SceneGraph, graph: SceneGraph, hits: Mapping[int, int]) -> tuple[TripletGroup, ...]:
    used = set(hits.values())
    return (
        _group("matched", graph, sorted(used)),
        _group("wrong", graph, [i for i in distinct_triplets(graph) if i not in used]),
        _group("missed", truth, [i for i in distinct_triplets(truth) if i not in hits]),
    )


def _group(verdict: Verdict, graph: SceneGraph, indices: Sequence[int]) -> TripletGroup:
    labels = object_labels(graph)
    shown = [graph.triplets[i] for i in indices[:MAX_TRIPLETS]]
    return TripletGroup(
        verdict,
        SIGNS[verdict],
        f"{len(indices)} {'annotated' if verdict == 'truth' else verdict}",
        tuple((labels[t.subject], t.predicate, labels[t.object]) for t in shown),
        max(0, len(indices) - MAX_TRIPLETS),
    )


def alt_of(heading: str, image: ImagePrediction, graph: SceneGraph) -> str:
    """What a panel's photo shows, for those who do not see it."""
    names = ", ".join(object_labels(graph)[:MAX_BOXES]) or "none"
    return f"{heading}: boxes over image {image.image_id}: {names}"


def summary_of(hits: str, num_triplets: int, found: str, num_objects: int) -> str:
    """Counts of relationships and objects; `hits` and `found` stand before them, such as `"3/"`."""
    triplets, objects = ("" if number == 1 else "s" for number in (num_triplets, num_objects))
    return f"{hits}{num_triplets} relationship{triplets} · {found}{num_objects} object{objects}"


def shortened_answer(answer: str) -> str:
    """A raw answer, cut where it is endless, which it then says."""
    cut = len(answer) - MAX_ANSWER_LENGTH
    return answer if cut <= 0 else f"{answer[:MAX_ANSWER_LENGTH]}\n… and {cut} more characters"
