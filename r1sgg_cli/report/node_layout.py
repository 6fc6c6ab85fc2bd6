"""Which part of a scene graph is drawn, and where its nodes could stand: many layouts, for `drawing` to choose from.

Units are those of the drawing, `WIDTH` wide and as high as it needs to be; one unit is about one CSS pixel.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.scene_graph.graph import SceneGraph

WIDTH = 400.0
MAX_LINKED = 28
MAX_PART = 16
"""Objects that hang together."""
MAX_UNLINKED = 12
MAX_ARROWS = 28
"""What is legible on one drawing."""
GAP_X, GAP_Y = 16.0, 34.0
"""Least distance between nodes that stand beside and above each other."""
MOST_EMPTY = 72.0
"""An empty band across the whole drawing is no higher than this."""
WIDTH_PER_NODE = 130.0
HEIGHT_PER_NODE = 36.0

Pair = tuple[int, int]
"""Subject and object, as indices into the graph's objects."""
Rectangles = NDArray[np.float64]
"""Shape (N, 4): left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Search:
    """Among how many layouts the best is looked for."""

    num_springs: int
    num_turns: int
    height_factors: tuple[float, ...]
    num_routed: int
    """Those that promise most get their arrows."""


THOROUGH = Search(num_springs=2, num_turns=6, height_factors=(0.6, 1.0, 1.5), num_routed=8)
QUICK = Search(num_springs=0, num_turns=4, height_factors=(1.0,), num_routed=3)
"""For pages of many graphs: about a tenth of the time."""


@dataclass(frozen=True, slots=True)
class DrawnPart:
    """The objects and relationships of a graph that its drawing shows."""

    predicates: Mapping[Pair, tuple[str, ...]]
    """The different predicates of each pair that gets an arrow."""
    unlinked: tuple[int, ...]
    """Objects in no relationship with another one; they stand in rows below."""
    num_hidden_objects: int
    num_hidden_relationships: int


def drawn_part(graph: SceneGraph) -> DrawnPart:
    """As many of the pairs whose objects have most relationships as stay legible, and some objects that have none.

    What an object has to do with itself is no arrow; it counts as hidden, as exact repeats do not.
    """
    found: dict[Pair, list[str]] = {}
    for subject, predicate, object_ in dict.fromkeys(graph.triplets):
        found.setdefault((subject, object_), []).append(predicate)
    pairs = {pair: tuple(predicates) for pair, predicates in found.items() if pair[0] != pair[1]}
    chosen = _legible_pairs(pairs)
    drawn = {pair: predicates for pair, predicates in pairs.items() if pair in chosen}
    unlinked = sorted(set(range(len(graph.ids))).difference(*pairs))
    num_nodes = len(set().union(*drawn)) + len(unlinked[:MAX_UNLINKED])
    num_relationships = sum(len(predicates) for predicates in found.values())
    return DrawnPart(
        drawn,
        tuple(unlinked[:MAX_UNLINKED]),
        len(graph.ids) - num_nodes,
        num_relationships - sum(len(predicates) for predicates in drawn.values()),
    )


def _legible_pairs(pairs: Mapping[Pair, Sequence[str]]) -> set[Pair]:
    """Pairs of the busiest objects first; those that bring a new object stand before those that only add an arrow."""
    degree: Counter[int] = Counter()
    for pair, predicates in pairs.items():
        degree.update(dict.fromkeys(pair, len(predicates)))
    ordered = sorted(pairs, key=lambda pair: -degree[pair[0]] - degree[pair[1]])
    part_of: dict[int, frozenset[int]] = {}
    chosen: set[Pair] = set()

    def is_legible(pair: Pair) -> bool:
        merged = frozenset(pair).union(*(part_of.get(end, frozenset()) for end in pair))
        if len(merged) > MAX_PART or len(part_of.keys() | merged) > MAX_LINKED or len(chosen) == MAX_ARROWS:
            return False
        part_of.update(dict.fromkeys(merged, merged))
        return True

    for pair in ordered:
        if not part_of.keys() >= set(pair) and is_legible(pair):
            chosen.add(pair)
    for pair in ordered:
        if pair not in chosen and part_of.keys() >= set(pair) and is_legible(pair):
            chosen.add(pair)
    return chosen


def components(pairs: Sequence[Pair]) -> list[list[int]]:
    """The objects of each connected part, largest part first; objects in ascending order."""
    parts = nx.connected_components(nx.Graph(pairs))
    return sorted((sorted(part) for part in parts), key=lambda part: (-len(part), part))


def candidate_layouts(
    pairs: Sequence[Pair], centres: NDArray[np.float64], sizes: NDArray[np.float64], search: Search = THOROUGH
) -> Iterator[Rectangles]:
    """Rectangles of one connected part's N nodes in many arrangements; none overlap, none leaves `WIDTH`.

    `pairs` are indices into the N rows of `centres` (where the objects are in the photo) and `sizes` (of the nodes).
    """
    for shape in _shapes(pairs, centres, search.num_springs):
        for turn in range(search.num_turns):
            angle = np.pi * turn / search.num_turns
            turned = shape @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            for factor in search.height_factors:
                yield separated(_stretched(turned, sizes, factor * HEIGHT_PER_NODE * (len(sizes) - 1)), sizes)


def _shapes(pairs: Sequence[Pair], centres: NDArray[np.float64], num_springs: int) -> Iterator[NDArray[np.float64]]:
    """Kamada–Kawai layouts from several starts: the photo, a drawing without crossings if there is one, springs."""
    nodes = range(len(centres))
    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(pairs)
    spread = centres + 0.01 * np.array([[np.cos(i), np.sin(i)] for i in nodes])  # equal boxes must not coincide
    starts = [dict(enumerate(spread))]
    if nx.check_planarity(graph)[0]:
        starts.append(nx.planar_layout(graph))
    starts += [nx.spring_layout(graph, seed=seed) for seed in range(num_springs)]
    for start in starts:
        placed = nx.kamada_kawai_layout(graph, pos=start)
        yield np.array([placed[i] for i in nodes], dtype=np.float64)


def _stretched(shape: NDArray[np.float64], sizes: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    """Centres that fill the height and, if they are not few, the width; a shape without extent stays in the middle."""
    width = min(WIDTH, WIDTH_PER_NODE * len(sizes))
    low, high = shape.min(axis=0), shape.max(axis=0)
    extent = high - low
    share = np.where(extent > 1e-6, (shape - low) / np.maximum(extent, 1e-6), 0.5)
    room = np.maximum(width, sizes[:, 0].max()) - sizes[:, 0]
    x = WIDTH / 2 + (share[:, 0] - 0.5) * room
    return np.stack([x, share[:, 1] * height], axis=1)


def separated(centres: NDArray[np.float64], sizes: NDArray[np.float64]) -> Rectangles:
    """Rectangles around the centres, from the top down each moved below those that it would touch; the top is at 0."""
    rectangles = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    placed: list[int] = []
    for i in np.lexsort((centres[:, 0], centres[:, 1])).tolist():
        for k in sorted(placed, key=lambda k: rectangles[k, 1]):
            beside = rectangles[i, 0] >= rectangles[k, 2] + GAP_X or rectangles[k, 0] >= rectangles[i, 2] + GAP_X
            apart = rectangles[i, 1] >= rectangles[k, 3] + GAP_Y or rectangles[k, 1] >= rectangles[i, 3] + GAP_Y
            if not beside and not apart:
                rectangles[i, 1::2] += rectangles[k, 3] + GAP_Y - rectangles[i, 1]
        placed.append(i)
    return _closed_up(rectangles)


def _closed_up(rectangles: Rectangles) -> Rectangles:
    """The rectangles with every empty band across all of them narrowed to `MOST_EMPTY`, the topmost at 0."""
    order = np.argsort(rectangles[:, 1], kind="stable")
    tops, bottoms = rectangles[order, 1], np.maximum.accumulate(rectangles[order, 3])
    excess = np.concatenate([[tops[0]], np.maximum(0.0, tops[1:] - bottoms[:-1] - MOST_EMPTY)])
    closed = rectangles.copy()
    closed[order, 1::2] -= np.cumsum(excess)[:, None]
    return closed


def rows_of(sizes: NDArray[np.float64]) -> Rectangles:
    """Rectangles that stand beside each other in rows, left to right, none wider than `WIDTH`."""
    rectangles = np.zeros((len(sizes), 4))
    x = y = 0.0
    for i, (width, height) in enumerate(sizes.tolist()):
        if x > 0 and x + width > WIDTH:
            x, y = 0.0, y + height + GAP_X / 2
        rectangles[i] = (x, y, x + width, y + height)
        x += width + GAP_X / 2
    return rectangles
