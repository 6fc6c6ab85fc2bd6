"""A split with its hits, from which all numbers are counted."""

from collections.abc import Sequence

import numpy as np

from r1sgg_cli.metrics.answer_numbers import per_image, size_numbers
from r1sgg_cli.metrics.background import Background, NamedSimilarity
from r1sgg_cli.metrics.detection import BoxDetection
from r1sgg_cli.metrics.flat import LabelTable, flatten
from r1sgg_cli.metrics.number import Number
from r1sgg_cli.metrics.object_numbers import box_numbers, object_numbers, object_part_numbers
from r1sgg_cli.metrics.objects import object_hits
from r1sgg_cli.metrics.pair_numbers import in_annotated_pairs, pair_numbers
from r1sgg_cli.metrics.predicate_groups import Group, predicate_groups
from r1sgg_cli.metrics.predicates import PredicateCount
from r1sgg_cli.metrics.ranking import GraphScores, Ranking
from r1sgg_cli.metrics.recall import PredicateRecall
from r1sgg_cli.metrics.setting import GraphSetting
from r1sgg_cli.metrics.soft import soft_recall_per_image
from r1sgg_cli.metrics.statistic import Values, mean_over_images, shares
from r1sgg_cli.metrics.training_numbers import (
    Labels,
    group_numbers,
    named_part_numbers,
    named_parts,
    open_vocabulary_numbers,
    unseen_triplets,
    zero_shot_numbers,
)
from r1sgg_cli.metrics.triplet_numbers import (
    accuracy_numbers,
    f_numbers,
    mean_recall_numbers,
    precision_numbers,
    ranked_hits,
    ranked_recall,
    recall_numbers,
)
from r1sgg_cli.metrics.triplets import phrase_candidates, triplet_candidates
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.training_names import TrainingNames

UNKNOWN_TRAINING = "zero-shot recall, frequent and rare predicates: nothing says what training showed"
ALL_SEEN = "zero-shot recall: training showed every annotated triplet"


class ScoredSplit:
    """The graphs of a split as flat arrays, and which predicted items hit which annotated ones."""

    def __init__(
        self,
        ground_truths: Sequence[SceneGraph],
        predictions: Sequence[SceneGraph | None],
        vocabulary: Sequence[str],
        scores: Sequence[GraphScores],
    ) -> None:
        """Match all images; `vocabulary` are the predicates of the vocabulary, empty for an open one."""
        table = LabelTable((name, number) for number, name in enumerate(dict.fromkeys(vocabulary)))
        self.num_vocabulary = len(table)
        self.labels = Labels(LabelTable(), table)
        self.annotated = flatten(ground_truths, self.labels.names, table)
        self.predicted = flatten(predictions, self.labels.names, table, scores)
        self.boxes = BoxDetection(self.annotated, self.predicted)
        self._object_rows = object_hits(self.annotated, self.predicted)[0]
        self._candidates = triplet_candidates(self.annotated, self.predicted)
        self.hits = ranked_hits(self._candidates)
        self._constrained = ranked_hits(self._candidates, "graph")
        self._predicates = PredicateRecall(self.annotated)
        self._recalls = [ranked_recall(self._predicates, hits) for hits in (self.hits, self._constrained)]

    def numbers(self, ranking: Ranking, setting: GraphSetting, background: Background) -> list[Number]:
        """Every number but those of failures, of what was asked for, in the order of the table."""
        training = background.training
        numbers: list[Number] = []
        if setting != "PredCls":
            numbers += box_numbers(self.boxes, ranking)
            numbers += object_numbers(self.annotated, self.predicted, self._object_rows)
        if setting != "Detection":
            numbers += self._relationship_numbers(is_given=setting == "PredCls")
            numbers += self._training_numbers(training) if training else ()
        if setting != "PredCls" and training:
            numbers += self._object_part_numbers(training)
        if setting != "Detection":
            numbers += self._open_vocabulary_numbers(training) if training else ()
            numbers += self._soft_numbers(background.similarity) if background.similarity else ()
        return numbers + size_numbers(self.annotated, self.predicted, setting)

    def object_recall_per_image(self) -> Values:
        """Share of each image's annotated objects that is hit, shape (images,); NaN for an image without any."""
        found, asked = (
            per_image(images, self.annotated)
            for images in (self.annotated.object_image[self._object_rows], self.annotated.object_image)
        )
        return shares(found, asked)

    def counts(self, training: TrainingNames | None) -> tuple[PredicateCount, ...]:
        """What was found of each predicate of the vocabulary, and of each other one that is annotated."""
        rows = self.hits.at[None][0]
        size = len(self.labels.predicates)
        recall = self._predicates.values(rows, size)
        annotated, hit, images = (np.zeros(size, dtype=np.int64) for _ in range(3))
        annotated[self._predicates.predicates] = self._predicates.num_annotated
        hit[self._predicates.predicates] = self._predicates.num_hit(rows)
        images[self._predicates.predicates] = self._predicates.num_images
        groups = self._groups(training) if training else {}
        return tuple(
            PredicateCount(
                name,
                float(recall[number]),
                int(annotated[number]),
                int(hit[number]),
                int(images[number]),
                training.predicate_counts.get(name, 0) if training else None,
                groups.get(name),
            )
            for name, number in self.labels.predicates.items()
            if number < self.num_vocabulary or annotated[number]
        )

    def left_out(self, training: TrainingNames | None) -> tuple[str, ...]:
        """Which numbers of relationships could not be computed, and why."""
        if training is None:
            return (UNKNOWN_TRAINING,)
        return () if unseen_triplets(self.annotated, self.labels, training).any() else (ALL_SEEN,)

    def _recall_numbers(self) -> list[Number]:
        numbers: list[Number] = []
        for hits, tables in zip((self.hits, self._constrained), self._recalls, strict=True):
            recalls = recall_numbers(self.annotated, hits)
            means = mean_recall_numbers(self._predicates, tables, self.num_vocabulary)
            numbers += recalls + means + f_numbers(recalls, means)
        order = {"recall": 0, "mean recall": 1}
        return sorted(numbers, key=lambda number: order[number.section])

    def _relationship_numbers(self, *, is_given: bool) -> list[Number]:
        return [
            *self._recall_numbers(),
            *precision_numbers(self.annotated, self.predicted, self.hits.at[None]),
            *pair_numbers(self.annotated, self.predicted),
            *(self._accuracy_numbers() if is_given else ()),
            *self._phrase_numbers(),
        ]

    def _accuracy_numbers(self) -> list[Number]:
        among = in_annotated_pairs(self.annotated, self.predicted)
        return accuracy_numbers(self.annotated, ranked_hits(self._candidates, "graph", among))

    def _phrase_numbers(self) -> list[Number]:
        hits = ranked_hits(phrase_candidates(self.annotated, self.predicted))
        recalls = ranked_recall(self._predicates, hits)
        return [
            *recall_numbers(self.annotated, hits, name="phrase_recall", symbol="PhrDet R", section="phrases"),
            *mean_recall_numbers(self._predicates, recalls, num_vocabulary=0, prefix="phrase_", section="phrases"),
        ]

    def _training_numbers(self, training: TrainingNames) -> list[Number]:
        numbers: list[Number] = []
        unseen = unseen_triplets(self.annotated, self.labels, training)
        if unseen.any():
            for hits in (self.hits, self._constrained):
                numbers += zero_shot_numbers(self.annotated, hits, unseen)
        return numbers + group_numbers(self._predicates, self._recalls, self.labels, self._groups(training))

    def _object_part_numbers(self, training: TrainingNames) -> list[Number]:
        parts = named_parts(training, self.labels)
        objects = {part: of_names[self.annotated.object_label] for part, (of_names, _) in parts.items()}
        return object_part_numbers(self.annotated, self._object_rows, objects)

    def _open_vocabulary_numbers(self, training: TrainingNames) -> list[Number]:
        parts = named_parts(training, self.labels)
        if not parts:
            return []
        return [
            *open_vocabulary_numbers(self.annotated, (self.hits, self._constrained), parts),
            *named_part_numbers(self._predicates, self._recalls, parts),
        ]

    def _soft_numbers(self, similarity: NamedSimilarity) -> list[Number]:
        labels = list(self.labels.names), list(self.labels.predicates)
        recall = soft_recall_per_image(self.annotated, self.predicted, labels, similarity.function)
        num_images = int(np.count_nonzero(~np.isnan(recall)))
        counted = (
            f"best one-to-one sum of subject × predicate × object similarity (`{similarity.name}`) of triplets that "
            f"overlap / annotated, mean over {num_images} images with a relationship"
        )
        number = Number(
            name="soft_triplet_recall",
            statistic=mean_over_images(recall),
            counted=counted,
            averaging="images",
            denominator=num_images,
            section="similarity",
            symbol="soft ng-R",
            constraint="none",
        )
        return [number]

    def _groups(self, training: TrainingNames) -> dict[str, Group]:
        known = [name for name, number in self.labels.predicates.items() if number < self.num_vocabulary]
        if not known:
            known = [
                *training.predicate_counts,
                *(list(self.labels.predicates)[p] for p in self._predicates.predicates),
            ]
        return predicate_groups(known, training.predicate_counts)
