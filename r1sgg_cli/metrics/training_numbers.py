"""Numbers that need to know what training showed: zero-shot recall, rare predicates, base and novel names."""

import numpy as np

from r1sgg_cli.metrics.cuts import Mask
from r1sgg_cli.metrics.flat import FlatGraphs, LabelTable
from r1sgg_cli.metrics.number import Number
from r1sgg_cli.metrics.one_to_one import Pairs
from r1sgg_cli.metrics.predicate_groups import GROUPS, Group
from r1sgg_cli.metrics.recall import PredicateRecall
from r1sgg_cli.metrics.statistic import Statistic
from r1sgg_cli.metrics.triplet_numbers import RankedHits, recall_numbers
from r1sgg_cli.scene_graph.training_names import TrainingNames
from r1sgg_cli.scene_graph.vocabulary import Vocabulary


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
    return recall_numbers(annotated, hits, "zero_shot_recall", "zR", "zero-shot", asked)


def group_numbers(predicates: PredicateRecall, hits: Pairs, labels: Labels, groups: dict[str, Group]) -> list[Number]:
    """Mean recall of frequent and of rare predicates, all predicted relationships."""
    numbers = []
    table = predicates.per_image(hits[0])
    for group in GROUPS:
        of_group = labels.of_predicates(frozenset(name for name, each in groups.items() if each == group))
        rows = of_group[predicates.predicates]
        size, num_group = int(rows.sum()), sum(each == group for each in groups.values())
        counted = f"per predicate mean over its images, then over {size} annotated of the {num_group} of the {group}"
        if size:
            statistic = predicates.mean(table, rows)
            numbers.append(_mean_number(f"mean_recall_{group}", statistic, counted, size, "groups"))
    return numbers


def named_parts(base: Vocabulary, novel: Vocabulary, labels: Labels) -> dict[str, tuple[Mask, Mask]]:
    """Base and novel as masks over the numbers of names and of predicates."""
    return {
        part: (labels.of_names(frozenset(words.objects)), labels.of_predicates(frozenset(words.predicates)))
        for part, words in (("base", base), ("novel", novel))
    }


def open_vocabulary_numbers(
    annotated: FlatGraphs,
    hits: RankedHits,
    predicates: PredicateRecall,
    parts: dict[str, tuple[Mask, Mask]],
) -> list[Number]:
    """Recall of triplets of base names alone, with a novel object, with a novel predicate; mean recall likewise.

    As in OvSGTR (arXiv 2311.10988): a triplet is novel by its objects if either end is, and by its predicate.
    """
    names, relations = parts["novel"]
    has_novel_object = (
        names[annotated.object_label][annotated.subject] | names[annotated.object_label][annotated.object]
    )
    has_novel_predicate = relations[annotated.predicate]
    numbers: list[Number] = []
    for name, what, mask in (
        ("triplet_recall_base", "a triplet of base names alone", ~(has_novel_object | has_novel_predicate)),
        ("triplet_recall_novel_object", "a triplet of a novel object", has_novel_object),
        ("triplet_recall_novel_predicate", "a triplet of a novel predicate", has_novel_predicate),
    ):
        if mask.any():
            numbers += recall_numbers(annotated, hits, name, "R", "open vocabulary", (what, mask))
    table = predicates.per_image(hits.at[None][0])
    for part, (_, of_part) in parts.items():
        rows = of_part[predicates.predicates]
        if rows.any():
            counted = f"per predicate mean over its images, then over {int(rows.sum())} annotated {part} predicates"
            statistic, size = predicates.mean(table, rows), int(rows.sum())
            numbers.append(_mean_number(f"mean_recall_{part}", statistic, counted, size, "open vocabulary"))
    return numbers


def _mean_number(name: str, statistic: Statistic, counted: str, size: int, section: str) -> Number:
    return Number(name, statistic, counted, "images of predicates", size, section, "ng-mR", None, "none")
