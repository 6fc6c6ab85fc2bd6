"""Synthetic scenes: coloured shapes whose scene graph is known exactly, rendered from a seed without any file.

What makes them learnable by a tiny model in minutes on a CPU, and still a fair stand-in for real data:

- boxes lie on a grid of 20 × 20 cells, so that their 0–1000 coordinates are multiples of 50;
- a pale background gradient encodes x in red and y in green, which a white one does not;
- objects are listed left to right and every pair has exactly one relationship, decided by geometry alone;
- predicates are long-tailed on purpose, and `drop_relationships` makes the annotation sparse as people leave it.

A scene belongs to the test split if a hash of its layout says so: train and test can never share an image,
whatever their seeds and sizes.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from r1sgg_cli.data.rows import Row, make_row
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

SyntheticSplit = Literal["train", "test"]
Box = tuple[int, int, int, int]

COLOURS = {"red": (214, 40, 40), "green": (42, 157, 60), "blue": (38, 84, 200)}
SHAPES = ("circle", "square", "triangle")
CATEGORIES = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
PREDICATES = ("left of", "above", "below", "overlapping", "touching", "far from")
VOCABULARY = Vocabulary(CATEGORIES, PREDICATES)

NUM_CELLS = 20
SIDES_IN_CELLS = (6, 7, 8, 9, 10)
MAX_DEPTH = 1
"""Cells that two shapes may reach into each other: `overlapping` occurs, and nothing hides anything."""
TEST_SHARE = 4
"""One layout in this many belongs to the test split."""


@dataclass(frozen=True, slots=True)
class SyntheticOptions:
    """What a synthetic split looks like; equal options give equal rows."""

    num_images: int
    seed: int = 0
    drop_relationships: float = 0.0
    """Probability that a relationship is left out; one per image is always kept."""
    image_side: int = 100
    num_objects: int = 3

    def __post_init__(self) -> None:
        for name, least, most in (("num_images", 1, None), ("drop_relationships", 0, 1), ("num_objects", 1, 4)):
            value = getattr(self, name)
            if value < least or (most is not None and value > most):
                limits = f"{least} or more" if most is None else f"from {least} to {most}"
                raise DataError(f"synthetic images: {name} is {value}; give {limits}")


@dataclass(frozen=True, slots=True)
class Scene:
    """Shapes on the grid, left to right; boxes are `xyxy` in cells."""

    names: tuple[str, ...]
    boxes: tuple[Box, ...]

    @property
    def is_test(self) -> bool:
        """Whether this layout belongs to the test split."""
        return hashlib.sha256(repr((self.names, self.boxes)).encode()).digest()[0] % TEST_SHARE == 0


def generate_rows(options: SyntheticOptions, split: SyntheticSplit) -> Iterator[Row]:
    """The rows of one split. Row k depends on the seed, the split and k alone: a longer split begins like a shorter."""
    for number in range(options.num_images):
        random = np.random.default_rng([options.seed, split == "test", number])
        scene = sample_scene(random, options.num_objects)
        while scene.is_test != (split == "test"):
            scene = sample_scene(random, options.num_objects)
        graph = sparse(scene_graph_of(scene, options.image_side), options.drop_relationships, random)
        prompt = "Write the scene graph."
        yield make_row(
            f"{split}-{number:06d}",
            _png(render(scene, options.image_side)),
            graph,
            prompt_open=prompt,
            prompt_close=f"{prompt} Objects: {', '.join(CATEGORIES)}. Predicates: {', '.join(PREDICATES)}.",
        )


def sample_scene(random: np.random.Generator, num_objects: int) -> Scene:
    """A random layout of different shapes that hide little of each other."""
    while True:  # most layouts overlap too much: draw many at once
        sides = random.choice(SIDES_IN_CELLS, size=(64, num_objects, 1))
        starts = random.integers(NUM_CELLS - sides + 1, size=(64, num_objects, 2))
        ends = starts + sides
        gaps = np.maximum(starts[:, :, None], starts[:, None]) - np.minimum(ends[:, :, None], ends[:, None])
        depths = -gaps.max(axis=-1) * (1 - np.eye(num_objects, dtype=np.int64))
        fits = np.flatnonzero((depths <= MAX_DEPTH).all(axis=(1, 2)))
        if fits.size:
            break
    names = [CATEGORIES[i] for i in random.permutation(len(CATEGORIES))[:num_objects]]
    xyxy = np.concatenate([starts[fits[0]], ends[fits[0]]], axis=1)
    boxes: list[Box] = [(x1, y1, x2, y2) for x1, y1, x2, y2 in xyxy.tolist()]
    order = sorted(range(num_objects), key=lambda i: boxes[i])
    return Scene(tuple(names[i] for i in order), tuple(boxes[i] for i in order))


def predicate_of(subject: Box, object_: Box) -> str:
    """The one predicate between two boxes in cells, where the subject starts further left (or equally far)."""
    gap_x = max(subject[0], object_[0]) - min(subject[2], object_[2])
    gap_y = max(subject[1], object_[1]) - min(subject[3], object_[3])
    if gap_x < 0 and gap_y < 0:
        return "overlapping"
    if gap_x == 0 and gap_y < 0:
        return "touching"
    offset_x = object_[0] + object_[2] - subject[0] - subject[2]
    offset_y = object_[1] + object_[3] - subject[1] - subject[3]
    if gap_x > 0 and gap_y > 0 and offset_x**2 + offset_y**2 >= (1.4 * NUM_CELLS) ** 2:
        return "far from"
    if 1.5 * abs(offset_x) >= abs(offset_y):
        return "left of"
    return "above" if offset_y > 0 else "below"


def scene_graph_of(scene: Scene, image_side: int) -> SceneGraph:
    """The complete graph of a scene, in pixels: one relationship per pair, from the left object to the right one."""
    ids = tuple(f"{name}.{number}" for number, name in enumerate(scene.names, start=1))
    boxes = np.array(scene.boxes, dtype=np.float64) * (image_side / NUM_CELLS)
    pairs = combinations(range(len(ids)), 2)
    triplets = tuple(Triplet(i, predicate_of(scene.boxes[i], scene.boxes[j]), j) for i, j in pairs)
    return SceneGraph(ids, scene.names, boxes, triplets, (float(image_side), float(image_side)))


def sparse(graph: SceneGraph, drop_relationships: float, random: np.random.Generator) -> SceneGraph:
    """The graph with each relationship left out at random, at least one kept."""
    if not graph.triplets:
        return graph
    kept = random.random(len(graph.triplets)) >= drop_relationships
    if not kept.any():
        kept[random.integers(len(kept))] = True
    triplets = tuple(triplet for triplet, keep in zip(graph.triplets, kept, strict=True) if keep)
    return SceneGraph(graph.ids, graph.names, graph.boxes_xyxy, triplets, graph.space_wh)


def render(scene: Scene, image_side: int) -> Image.Image:
    """The scene as an RGB image; later shapes lie on top."""
    ramp = np.linspace(255, 195, image_side).astype(np.uint8)
    pixels = np.full((image_side, image_side, 3), 240, dtype=np.uint8)
    pixels[:, :, 0], pixels[:, :, 1] = ramp[None, :], ramp[:, None]
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for name, box in zip(scene.names, scene.boxes, strict=True):
        colour, shape = name.split(" ")
        x1, y1, x2, y2 = (v * image_side / NUM_CELLS for v in box)
        x2, y2 = x2 - 1, y2 - 1  # the last pixel inside the box
        if shape == "circle":
            draw.ellipse((x1, y1, x2, y2), fill=COLOURS[colour])
        elif shape == "square":
            draw.rectangle((x1, y1, x2, y2), fill=COLOURS[colour])
        else:
            draw.polygon(((x1, y2), ((x1 + x2) / 2, y1), (x2, y2)), fill=COLOURS[colour])
    return image


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
