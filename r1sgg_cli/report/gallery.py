"""The gallery: which held-out images it shows, and for each one the truth beside what every stage answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.report.image_words import (
    alt_of,
    annotated_summary,
    answer_summary,
    defects_of,
    failure_of,
    shortened_answer,
)
from r1sgg_cli.report.overlay import (
    BoxView,
    Photo,
    encode_photo,
    is_crowded,
    lay_out_boxes,
    num_hidden_boxes,
    object_labels,
)
from r1sgg_cli.report.stages import Stage
from r1sgg_cli.report.triplet_lists import TripletList, triplet_lists
from r1sgg_cli.report.verdicts import distinct_triplets, judge
from r1sgg_cli.scene_graph.graph import SceneGraph

NUM_SAMPLED = 6
NUM_CHANGED = 3
"""Images in each of the groups "gained most" and "lost most"."""


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
    lists: tuple[TripletList, ...]
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
    before, after = ([judge(image).num_matched for image in stage.predictions.images] for stage in compared)
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


def _row(stages: Sequence[Stage], index: int, image_of: Callable[[str], Image.Image]) -> GalleryRow:
    first = stages[0].predictions.images[index]
    photo = encode_photo(image_of(first.image_id))
    panels = (answer_panel(stage.name, stage.predictions.images[index], photo) for stage in stages)
    return GalleryRow(first.image_id, photo, (truth_panel(first, photo), *panels))


def truth_panel(image: ImagePrediction, photo: Photo) -> Panel:
    """What is annotated of an image."""
    graph = image.ground_truth
    triplets = distinct_triplets(graph)
    return Panel(
        heading="ground truth",
        summary=annotated_summary(len(triplets), len(graph.ids)),
        alt=alt_of("ground truth", image, graph),
        failure="",
        boxes=lay_out_boxes(graph, ["truth"] * len(graph.ids), photo.view_wh),
        num_hidden_boxes=num_hidden_boxes(graph),
        objects=_objects(graph),
        lists=triplet_lists(graph, dict.fromkeys(triplets, "truth"), ("truth",)),
        defects="",
        answer=None,
    )


def answer_panel(heading: str, image: ImagePrediction, photo: Photo) -> Panel:
    """What was answered for an image, each part beside what is annotated."""
    graph, verdicts = image.prediction, judge(image)
    answered = triplet_lists(graph, verdicts.predicted_triplets, ("matched", "wrong")) if graph else ()
    missed = triplet_lists(image.ground_truth, verdicts.annotated_triplets, ("missed",))
    return Panel(
        heading=heading,
        summary=answer_summary(verdicts),
        alt=alt_of(heading, image, graph),
        failure=failure_of(image),
        boxes=lay_out_boxes(graph, list(verdicts.predicted_objects.values()), photo.view_wh) if graph else (),
        num_hidden_boxes=num_hidden_boxes(graph) if graph else 0,
        objects=_objects(graph) if graph else (),
        lists=(*answered, *missed),
        defects=defects_of(image),
        answer=shortened_answer(image.answer),
    )


def _objects(graph: SceneGraph) -> tuple[str, ...]:
    return object_labels(graph) if is_crowded(graph) else ()
