"""The numbers that the published evaluator of R1-SGG (gpt4vision/R1-SGG at e4de64d) prints, faults included.

They stand beside a paper's numbers; to judge a model, take `evaluation`. What that evaluator does, and this repeats:

- An image whose answer names objects but relates none is skipped by R, ng-R, mR and zR, and so is one without an
  answer, which AP leaves out as well; an answer that cannot be read counts as 0. A model gains by relating nothing when
  unsure.
- "R" is printed as graph-constrained and is not: every written relationship is a row, cut in the order of the answer.
  One row may hit several annotated relationships, and repeats count on both sides.
- "ng-R" ranks the predicates that were *not* written as well, so all its kin are inflated by guesses.
- R and its kin add a pixel to widths and heights; "ngR" does not, has no K, and counts every image.
- AP gives every box score 1, so it depends on the order of the images, and never finds the data set's first object.

Departures. Ties are sorted stably (there, by the processor's instructions). "zR" under PSG compares numbers of PSG's
classes with VG150's triplets there, which means nothing; here it is counted over the triplets given, or not at all.
The box of an unusable answer is uninitialised memory there and hits nothing here.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.errors import DataError
from r1sgg_cli.metrics.flat import FlatGraphs, LabelTable, Mask, flatten
from r1sgg_cli.metrics.metric import Metric, finite
from r1sgg_cli.metrics.published_ap import LINES, PublishedAP, published_ap
from r1sgg_cli.metrics.published_hits import published_hits
from r1sgg_cli.metrics.published_recall import recall_at_cuts, recall_without_cut
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.training_names import NamedTriplet
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

PROTOCOL = (
    "What the published evaluator prints of these graphs, faults included, for comparison with a paper. A hit: equal"
    " names and predicate, IoU ≥ 0.5 on both boxes; one prediction may hit several, repeats count on both sides. @ K:"
    " the first K relationships as written. No graph constraint, also where it is printed as if there were one."
)
"""What holds for all of its numbers; each says the rest itself."""


@dataclass(frozen=True, slots=True, eq=False)
class PublishedEvaluation:
    """The published evaluator's numbers of one model on one split, in the order in which it prints them."""

    metrics: tuple[Metric, ...]
    """By their printed names, as fractions (some are printed as per cent); NaN where nan or −1 is printed."""
    per_predicate: Mapping[str, Mapping[str, float]]
    """By "mR @ 20", …, "ng-mR @ 100", "whole mean of ngR" and "mean ngR per image": what each is the mean of.

    NaN for a predicate that is not annotated, which "mR" and "ng-mR" count as 0.
    """
    per_image: Mapping[str, NDArray[np.float64]]
    """By "R @ 20", …, "ng-zR @ 100" and "ngR per image", in the order of the images; NaN for one that is skipped."""
    ap_per_class: Mapping[str, float]
    """Box AP of every object name of the vocabulary, NaN where it is not annotated in an answered image."""

    def value(self, name: str, k: int | None = None) -> float:
        """The value of a metric by its printed name. Raises `KeyError`."""
        return {(metric.name, metric.k): metric.value for metric in self.metrics}[name, k]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the values per image; what is NaN here is null there."""
        return {
            "protocol": PROTOCOL,
            "metrics": [metric.to_json() for metric in self.metrics],
            "per_predicate": {
                name: {predicate: finite(value) for predicate, value in values.items()}
                for name, values in self.per_predicate.items()
            },
            "ap_per_class": {name: finite(value) for name, value in self.ap_per_class.items()},
        }


def published_metrics(
    ground_truths: Sequence[SceneGraph],
    predictions: Sequence[SceneGraph | None],
    vocabulary: Vocabulary,
    unseen_triplets: Collection[NamedTriplet] | None = None,
    *,
    missing: Collection[int] = (),
    first_image: int = 0,
) -> PublishedEvaluation:
    """Score the images of a split, in ascending order of their ids as text; graph i of both is the same image.

    A prediction is None where no graph could be read; `missing` are the indices of those that have no answer at all.
    `unseen_triplets` are what "zR" counts (`published_unseen` has those of VG150); without them it is left out.
    `first_image` is the index of the first image of the data set that has an object, and that object AP never finds.
    Names and predicates outside the vocabulary are left out of predictions, as the published gather does. Raises
    `DataError` for an open vocabulary and for an annotated label outside it: there the published evaluator stops.
    """
    split = _flat_split(ground_truths, predictions, vocabulary, frozenset(missing))
    annotated, num_predicates = split.annotated, len(vocabulary.predicates)
    hits = published_hits(annotated, split.predicted, num_predicates)
    is_unseen = None if unseen_triplets is None else _is_among(annotated, unseen_triplets, vocabulary)
    cut = recall_at_cuts(annotated, hits, split.is_counted, num_predicates, is_unseen)
    uncut = recall_without_cut(annotated, hits, num_predicates)
    ap = _box_ap(split, first_image)
    return PublishedEvaluation(
        (*cut.metrics, *_ap_metrics(ap, split.num_answered, annotated.num_images), *uncut.metrics),
        {
            name: dict(zip(vocabulary.predicates, values.tolist(), strict=True))
            for name, values in (cut.per_predicate | uncut.per_predicate).items()
        },
        cut.per_image | uncut.per_image,
        {name: ap.per_class.get(number, math.nan) for number, name in enumerate(vocabulary.objects)},
    )


class _Split(NamedTuple):
    """Both sides as flat arrays with their repeats; labels are numbers in the vocabulary."""

    annotated: FlatGraphs
    answered: FlatGraphs
    """The same without the images that have no answer."""
    predicted: FlatGraphs
    num_answered: int
    is_counted: Mask
    """The answered images that R and its kin do not skip: they relate something, or are unusable."""


def _flat_split(
    ground_truths: Sequence[SceneGraph],
    predictions: Sequence[SceneGraph | None],
    vocabulary: Vocabulary,
    missing: frozenset[int],
) -> _Split:
    if len(ground_truths) != len(predictions):
        raise ValueError(f"{len(ground_truths)} ground truths, but {len(predictions)} predictions")
    if not vocabulary.objects or not vocabulary.predicates:
        raise DataError(
            "the published evaluator knows closed vocabularies only, and that of these predictions is open: read the"
            " standard numbers"
        )
    names, predicates = (
        LabelTable({label: number for number, label in enumerate(labels)})
        for labels in (vocabulary.objects, vocabulary.predicates)
    )
    annotated = flatten(ground_truths, names, predicates, keep_repeats=True)
    for table, known in ((names, vocabulary.objects), (predicates, vocabulary.predicates)):
        if len(table) > len(known):
            raise DataError(
                f"`{list(table)[len(known)]}` is annotated but not in the vocabulary, at which the published evaluator"
                " stops: name the data set's own vocabulary, or read the standard numbers"
            )
    kept = [None if graph is None else _within(graph, names, predicates) for graph in predictions]
    answered_truths = [None if image in missing else graph for image, graph in enumerate(ground_truths)]
    is_counted = [
        image not in missing and (graph is None or not graph.names or bool(graph.triplets))
        for image, graph in enumerate(kept)
    ]
    return _Split(
        annotated,
        flatten(answered_truths, names, predicates, keep_repeats=True) if missing else annotated,
        flatten(kept, names, predicates, keep_repeats=True),
        len(kept) - len(missing),
        np.array(is_counted, dtype=bool),
    )


def _within(graph: SceneGraph, names: LabelTable, predicates: LabelTable) -> SceneGraph:
    """The graph without what is outside the vocabulary."""
    keep = [place for place, name in enumerate(graph.names) if name in names]
    if len(keep) == len(graph.names) and all(triplet.predicate in predicates for triplet in graph.triplets):
        return graph
    place_of = {old: new for new, old in enumerate(keep)}
    triplets = tuple(
        Triplet(place_of[t.subject], t.predicate, place_of[t.object])
        for t in graph.triplets
        if t.subject in place_of and t.object in place_of and t.predicate in predicates
    )
    ids, labels = (tuple(texts[place] for place in keep) for texts in (graph.ids, graph.names))
    return SceneGraph(ids, labels, graph.boxes_xyxy[keep], triplets, graph.space_wh)


def _is_among(annotated: FlatGraphs, triplets: Collection[NamedTriplet], vocabulary: Vocabulary) -> Mask:
    """Which annotated relationships are among the triplets; those outside the vocabulary are none."""
    objects, predicates = (
        {label: number for number, label in enumerate(labels)} for labels in (vocabulary.objects, vocabulary.predicates)
    )
    shape = len(objects), len(predicates), len(objects)
    known = [t for t in triplets if t[0] in objects and t[1] in predicates and t[2] in objects]
    wanted = np.array([[objects[s], predicates[p], objects[o]] for s, p, o in known], dtype=np.int64).reshape(-1, 3)
    label = annotated.object_label
    shown = label[annotated.subject], annotated.predicate, label[annotated.object]
    return np.isin(np.ravel_multi_index(shown, shape), np.ravel_multi_index(tuple(wanted.T), shape))


def _box_ap(split: _Split, first_image: int) -> PublishedAP:
    rows = np.flatnonzero(split.answered.object_image == first_image)
    return published_ap(split.answered, split.predicted, int(rows[0]) if len(rows) else None)


def _ap_metrics(ap: PublishedAP, num_answered: int, num_images: int) -> list[Metric]:
    counted = (
        f"annotated classes, over the {num_answered} of {num_images} images with an answer; all scores 1, ties by image"
        " id; the data set's first object is never found"
    )
    return [
        Metric(
            name=name,
            value=value,
            counted=f"COCO, {LINES[name]}, mean over {num_classes} {counted}",
            averaging="classes",
            iou=f"{'≥ 0.5' if name.endswith('50') else '≥ 0.75' if name == 'AP75' else '0.50:0.95'}, x2 − x1",
            denominator=num_classes,
        )
        for name, (value, num_classes) in ap.summary.items()
    ]
