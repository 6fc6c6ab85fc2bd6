"""The relationships of one graph in words, a list for each verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from r1sgg_cli.report.overlay import object_labels
from r1sgg_cli.report.verdicts import SIGNS, Verdict
from r1sgg_cli.scene_graph.graph import SceneGraph

MAX_TRIPLETS = 30
"""Relationships of one list."""


@dataclass(frozen=True, slots=True)
class ListedTriplet:
    """A relationship in words."""

    link: str
    """Keys of subject and object, such as `"t0>t2"`; empty where nothing on the page is linked to it."""
    subject: str
    predicate: str
    object: str


@dataclass(frozen=True, slots=True)
class TripletList:
    """The relationships of one graph that share a verdict."""

    verdict: Verdict
    sign: str
    heading: str
    triplets: tuple[ListedTriplet, ...]
    num_hidden: int


def triplet_lists(
    graph: SceneGraph, judged: Mapping[int, Verdict], verdicts: Sequence[Verdict], keys: Sequence[str] = ()
) -> tuple[TripletList, ...]:
    """A list for each of `verdicts` that any relationship has; `judged` has them by index in the graph.

    `keys` are those of the graph's objects, where the page links what belongs together.
    """
    labels = object_labels(graph)
    lists = []
    for verdict in verdicts:
        triplets = [graph.triplets[i] for i, found in judged.items() if found == verdict]
        if triplets:
            lists.append(
                TripletList(
                    verdict=verdict,
                    sign=SIGNS[verdict],
                    heading=f"{len(triplets)} {'annotated' if verdict == 'truth' else verdict}",
                    triplets=tuple(
                        ListedTriplet(
                            link=link_between(keys, t.subject, t.object) if keys else "",
                            subject=labels[t.subject],
                            predicate=t.predicate,
                            object=labels[t.object],
                        )
                        for t in triplets[:MAX_TRIPLETS]
                    ),
                    num_hidden=max(0, len(triplets) - MAX_TRIPLETS),
                )
            )
    return tuple(lists)


def link_between(keys: Sequence[str], subject: int, object_: int) -> str:
    """How a page names the relationships of one object to another, by the keys of both."""
    return f"{keys[subject]}>{keys[object_]}"
