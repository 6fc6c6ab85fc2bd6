"""Numbers that need to know what training showed: zero-shot recall, rare predicates, base and novel names."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from r1sgg_cli.metrics.flat import FlatGraphs, LabelTable, Mask
from r1sgg_cli.metrics.number import Number
from r1sgg_cli.metrics.predicate_groups import GROUPS, Group
from r1sgg_cli.metrics.recall import PredicateRecall
from r1sgg_cli.metrics.triplet_numbers import RankedHits, RankedRecall, named_under, recall_numbers
from r1sgg_cli.scene_graph.training_names import TrainingNames


class Labels:
    """The tables of a split's labels: names of objects, predicates."""

    def __init__(self, names: LabelTable, predicates: LabelTable) -> None:
        self.names, self.predicates = names, predicates

    def of_names(self, names: frozenset[str]) -> Mask:
        """Which numbers stand for one of these names."""
        return np.array([name in names for name in self.names], dtype=bool)

    def of_predicates(self, predicates: frozenset[str]) -> Mask:
        """Which numbers stand for one of these predicates."""
        return np.array([name in predicates for name in self.predicates], dtype=bool)


def unseen_triplets(annotated: FlatGraphs, labels: Labels, training: TrainingNames) -> Mask:
    """Which annotated triplets training never showed."""
    names, predicates = list(labels.names), list(labels.predicates)
    subjects, objects = annotated.object_label[annotated.subject], annotated.object_label[annotated.object]
    columns = zip(subjects.tolist(), annotated.predicate.tolist(), objects.tolist(), strict=True)
    return np.array(
        [(names[s], predicates[p], names[o]) in training.unseen_triplets for s, p, o in columns], dtype=bool
    )


def zero_shot_numbers(annotated: FlatGraphs, hits: RankedHits, unseen: Mask) -> list[Number]:
    """Recall of the triplets that training never showed, at every K."""
    asked = ("a triplet that training never showed", unseen)
    return recall_numbers(annotated, hits, name="zero_shot_recall", symbol="zR", section="zero-shot", asked=asked)


def group_numbers(
    predicates: PredicateRecall, every_recall: Sequence[RankedRecall], labels: Labels, groups: dict[str, Group]
) -> list[Number]:
    """Mean recall of frequent and of rare predicates, at every K and under each constraint."""
    numbers = []
    for group in GROUPS:
        of_group = labels.of_predicates(frozenset(name for name, each in groups.items() if each == group))
        num_group = sum(each == group for each in groups.values())
        part = PredicatePart(
            name=group,
            said=f"annotated of the {num_group} of the {group}",
            rows=of_group[predicates.predicates],
            section="groups",
        )
        numbers += _part_numbers(predicates, every_recall, part)
    return numbers


class PredicatePart(NamedTuple):
    """Some of the annotated predicates, over which a mean recall is taken."""

    name: str
    said: str
    """Which they are, behind their number."""
    rows: Mask
    section: str


def named_parts(training: TrainingNames, labels: Labels) -> dict[str, tuple[Mask, Mask]]:
    """Base and novel as masks over the numbers of names and of predicates; nothing for a closed vocabulary."""
    return {
        part: (labels.of_names(frozenset(words.objects)), labels.of_predicates(frozenset(words.predicates)))
        for part, words in (("base", training.base), ("novel", training.novel))
        if words is not None
    }


def open_vocabulary_numbers(
    annotated: FlatGraphs,
    every_hits: Sequence[RankedHits],
    parts: dict[str, tuple[Mask, Mask]],
) -> list[Number]:
    """Recall of triplets of base names alone, of novel objects, of a novel predicate; at every K, by each constraint.

    A triplet is novel by its objects if both ends are, as OvSGTR's evaluator has it (arXiv 2311.10988), which ranks
    under the graph constraint. Triplets with one novel end or two are counted under a name of their own.
    """
    names, relations = parts["novel"]
    is_novel, has_novel_predicate = names[annotated.object_label], relations[annotated.predicate]
    both, either = (
        join(is_novel[annotated.subject], is_novel[annotated.object]) for join in (np.logical_and, np.logical_or)
    )
    numbers: list[Number] = []
    for name, what, mask in (
        ("triplet_recall_base", "a triplet of base names alone", ~(either | has_novel_predicate)),
        ("triplet_recall_novel_object", "a triplet of two novel objects", both),
        ("triplet_recall_novel_object_either_end", "a triplet of a novel object, whatever the other end", either),
        ("triplet_recall_novel_predicate", "a triplet of a novel predicate", has_novel_predicate),
    ):
        for hits in every_hits if mask.any() else ():
            numbers += recall_numbers(annotated, hits, name=name, section="open vocabulary", asked=(what, mask))
    return numbers


def named_part_numbers(
    predicates: PredicateRecall, every_recall: Sequence[RankedRecall], parts: dict[str, tuple[Mask, Mask]]
) -> list[Number]:
    """Mean recall of base and of novel predicates, at every K, by each constraint."""
    return [
        number
        for part, (_, of_part) in parts.items()
        for number in _part_numbers(
            predicates,
            every_recall,
            PredicatePart(
                name=part,
                said=f"annotated {part} predicates",
                rows=of_part[predicates.predicates],
                section="open vocabulary",
            ),
        )
    ]


def _part_numbers(
    predicates: PredicateRecall, every_recall: Sequence[RankedRecall], part: PredicatePart
) -> list[Number]:
    """Mean recall over the part, at every K; nothing where none of it is annotated."""
    size = int(part.rows.sum())
    counted = f"per predicate mean over its images, then over {size} {part.said}"
    return [
        Number(
            name=name,
            statistic=predicates.mean(table, part.rows),
            counted=counted,
            averaging="images of predicates",
            denominator=size,
            section=part.section,
            symbol=symbol,
            k=cut,
            constraint=recalls.constraint,
        )
        for recalls in (every_recall if size else ())
        for name, symbol in [named_under(f"mean_recall_{part.name}", "mR", recalls.constraint)]
        for cut, table in recalls.at.items()
    ]
