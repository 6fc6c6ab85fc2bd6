"""A split with its hits, from which all numbers are counted."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from r1sgg_cli.metrics.answer_numbers import size_numbers
from r1sgg_cli.metrics.background import Background, NamedSimilarity
from r1sgg_cli.metrics.detection import BoxDetection
from r1sgg_cli.metrics.flat import LabelTable, flatten
from r1sgg_cli.metrics.number import Number
from r1sgg_cli.metrics.object_numbers import box_numbers, object_numbers
from r1sgg_cli.metrics.pair_numbers import in_annotated_pairs, pair_numbers
from r1sgg_cli.metrics.predicate_groups import Group, predicate_groups
from r1sgg_cli.metrics.predicates import PredicateCount
from r1sgg_cli.metrics.ranking import GraphScores, Ranking
from r1sgg_cli.metrics.recall import PredicateRecall
from r1sgg_cli.metrics.setting import Setting
from r1sgg_cli.metrics.soft import soft_recall_per_image
from r1sgg_cli.metrics.statistic import mean_over_images
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
        self._candidates = triplet_candidates(self.annotated, self.predicted)
        self.hits = ranked_hits(self._candidates)
        self._constrained = ranked_hits(self._candidates, "graph")
        self._predicates = PredicateRecall(self.annotated)
        self._recalls = [ranked_recall(self._predicates, hits) for hits in (self.hits, self._constrained)]

    def numbers(self, ranking: Ranking, setting: Setting, background: Background) -> list[Number]:
        """Every number but those of failures, in the order of the table."""
        return [
            *box_numbers(self.boxes, ranking),
            *object_numbers(self.annotated, self.predicted),
            *self._recall_numbers(),
            *precision_numbers(self.annotated, self.predicted, self.hits.at[None]),
            *pair_numbers(self.annotated, self.predicted),
            *(self._accuracy_numbers() if setting != "SGDet" else ()),
            *self._phrase_numbers(),
            *(self._training_numbers(background.training) if background.training else ()),
            *(self._soft_numbers(background.similarity) if background.similarity else ()),
            *size_numbers(self.annotated, self.predicted),
        ]

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
        """What could not be computed, and why."""
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

    def _accuracy_numbers(self) -> list[Number]:
        """A@K: recall of the constrained answers among annotated pairs alone."""
        among = in_annotated_pairs(self.annotated, self.predicted)
        hits = ranked_hits(self._candidates, "graph", among)
        return recall_numbers(self.annotated, hits, "pair_accuracy", "A", "pairs")

    def _phrase_numbers(self) -> list[Number]:
        hits = ranked_hits(phrase_candidates(self.annotated, self.predicted))
        return [
            *recall_numbers(self.annotated, hits, "phrase_recall", "PhrDet R", "phrases"),
            *mean_recall_numbers(self._predicates, ranked_recall(self._predicates, hits), 0, "phrase_", "phrases"),
        ]

    def _training_numbers(self, training: TrainingNames) -> list[Number]:
        numbers: list[Number] = []
        unseen = unseen_triplets(self.annotated, self.labels, training)
        if unseen.any():
            for hits in (self.hits, self._constrained):
                numbers += zero_shot_numbers(self.annotated, hits, unseen)
        numbers += group_numbers(self._predicates, self._recalls, self.labels, self._groups(training))
        if training.base is not None and training.novel is not None:
            parts = named_parts(training.base, training.novel, self.labels)
            names = {part: of_names[self.annotated.object_label] for part, (of_names, _) in parts.items()}
            numbers += object_numbers(self.annotated, self.predicted, names)[3:]
            numbers += open_vocabulary_numbers(self.annotated, (self.hits, self._constrained), parts)
            numbers += named_part_numbers(self._predicates, self._recalls, parts)
        return numbers

    def _soft_numbers(self, similarity: NamedSimilarity) -> list[Number]:
        labels = list(self.labels.names), list(self.labels.predicates)
        recall = soft_recall_per_image(self.annotated, self.predicted, labels, similarity.function)
        num_images = int(np.count_nonzero(~np.isnan(recall)))
        counted = (
            f"best one-to-one sum of subject × predicate × object similarity (`{similarity.name}`) of triplets that "
            f"overlap / annotated, mean over {num_images} images with a relationship"
        )
        number = Number(
            "soft_triplet_recall", mean_over_images(recall), counted, "images", num_images, "similarity", "soft ng-R"
        )
        return [replace(number, constraint="none")]

    def _groups(self, training: TrainingNames) -> dict[str, Group]:
        known = [name for name, number in self.labels.predicates.items() if number < self.num_vocabulary]
        if not known:
            known = [
                *training.predicate_counts,
                *(list(self.labels.predicates)[p] for p in self._predicates.predicates),
            ]
        return predicate_groups(known, training.predicate_counts)
