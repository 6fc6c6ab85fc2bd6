"""A made-up run: held-out scenes of coloured shapes and what a model might have answered at three stages."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from r1sgg_cli.data.predictions import ImagePrediction, Predictions
from r1sgg_cli.metrics.evaluation import evaluate
from r1sgg_cli.report.curves import Curve, Series
from r1sgg_cli.report.stages import Stage
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from tests.report.chromium import Page, open_browser

SIDE = 100
COLOURS = {"red": (205, 52, 52), "green": (60, 150, 75), "blue": (55, 90, 190)}
SHAPES = ("circle", "square", "triangle")
PREDICATES = ("left of", "right of", "above", "below")
VOCABULARY = Vocabulary(tuple(f"{c} {s}" for c in COLOURS for s in SHAPES), PREDICATES)


def make_graph(names: list[str], boxes: list[list[float]], triplets: list[tuple[int, str, int]]) -> SceneGraph:
    """A graph of a 100×100 image with ids `name.1`, `name.2`, … by name."""
    ids = tuple(f"{name}.{names[: i + 1].count(name)}" for i, name in enumerate(names))
    boxes_xyxy = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return SceneGraph(ids, tuple(names), boxes_xyxy, tuple(Triplet(*t) for t in triplets), (SIDE, SIDE))


def draw(graph: SceneGraph) -> Image.Image:
    """The scene as a picture: its shapes over a pale gradient."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    image = Image.fromarray(np.stack([200 + x // 2, 200 + y // 2, 240 - x // 4], axis=-1).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for name, (left, top, right, bottom) in zip(graph.names, graph.boxes_xyxy.tolist(), strict=True):
        colour, _, shape = name.partition(" ")
        if shape == "circle":
            pen.ellipse((left, top, right, bottom), fill=COLOURS[colour])
        elif shape == "square":
            pen.rectangle((left, top, right, bottom), fill=COLOURS[colour])
        else:
            pen.polygon([((left + right) / 2, top), (left, bottom), (right, bottom)], fill=COLOURS[colour])
    return image


def _truth(random: Random) -> SceneGraph:
    boxes: list[list[float]] = []
    while len(boxes) < 3:
        side = random.choice([30, 35, 40])
        x, y = (random.randrange(0, SIDE - side + 1, 5) for _ in range(2))
        if all(x >= b[2] or x + side <= b[0] or y >= b[3] or y + side <= b[1] for b in boxes):
            boxes.append([x, y, x + side, y + side])
    boxes.sort()
    names = [f"{random.choice(list(COLOURS))} {random.choice(SHAPES)}" for _ in boxes]
    ends = [(0, 1), (0, 2), (1, 2)]
    triplets = [(a, "left of" if boxes[a][2] <= boxes[b][0] else _vertical(boxes[a], boxes[b]), b) for a, b in ends]
    return make_graph(names, boxes, triplets)


def _vertical(a: list[float], b: list[float]) -> str:
    return "above" if a[1] < b[1] else "below"


@dataclass(frozen=True)
class Skill:
    """How well a stage answers."""

    name: str
    failure: float
    right_name: float
    shift: int
    written: float
    right_predicate: float


SKILLS = (
    Skill("before SFT", 0.9, 0.2, 30, 0.4, 0.3),
    Skill("after SFT", 0.08, 0.95, 4, 0.45, 0.95),
    Skill("after GRPO", 0.04, 0.95, 4, 0.95, 0.75),
)


def _answer(truth: SceneGraph, skill: Skill, random: Random) -> tuple[SceneGraph | None, str | None, str]:
    if random.random() < skill.failure:
        kind = random.choice(["no_json", "truncated"])
        return None, kind, '{"objects":[{"id":"red' if kind == "truncated" else "square square red <answer> ,,,"
    names = [n if random.random() < skill.right_name else random.choice(VOCABULARY.objects) for n in truth.names]
    moves = [[random.randint(-skill.shift, skill.shift) for _ in range(4)] for _ in names]
    boxes = [
        [min(max(v + m, 0), SIDE) for v, m in zip(box, move, strict=True)]
        for box, move in zip(truth.boxes_xyxy.tolist(), moves, strict=True)
    ]
    boxes = [[min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])] for b in boxes]
    triplets = [
        (s, p if random.random() < skill.right_predicate else random.choice(PREDICATES), o)
        for s, p, o in truth.triplets
        if random.random() < skill.written
    ]
    graph = make_graph(names, boxes, triplets)
    objects, relationships = graph.to_rows()
    return graph, None, json.dumps({"objects": objects, "relationships": relationships})


@pytest.fixture(scope="session")
def truths() -> dict[str, SceneGraph]:
    """Forty annotated scenes by image id."""
    random = Random(7)
    return {f"test-{i:04d}": _truth(random) for i in range(40)}


def make_stage(name: str, images: list[ImagePrediction]) -> Stage:
    """A stage with its images' real evaluation."""
    provenance = {"model": f"runs/demo/{name.replace(' ', '-')}", "dataset": "data/synthetic", "max_new_tokens": 96}
    evaluation = evaluate([i.ground_truth for i in images], [i.prediction for i in images], PREDICATES)
    return Stage(name, Predictions(provenance, VOCABULARY, tuple(images)), evaluation)


@pytest.fixture(scope="session")
def stages(truths: dict[str, SceneGraph]) -> list[Stage]:
    """The three stages of the made-up run."""
    random = Random(11)
    made = []
    for skill in SKILLS:
        images = []
        for image_id, truth in truths.items():
            graph, failure, answer = _answer(truth, skill, random)
            defects = {"dangling_relationship": 1} if graph and random.random() < 0.15 else {}
            images.append(ImagePrediction(image_id, (SIDE, SIDE), truth, graph, failure, defects, answer))
        made.append(make_stage(skill.name, images))
    return made


@pytest.fixture(scope="session")
def image_of(truths: dict[str, SceneGraph]) -> Callable[[str], Image.Image]:
    """Image id → picture."""
    return lambda image_id: draw(truths[image_id])


@pytest.fixture(scope="session")
def curves() -> list[Curve]:
    """The loss of 700 steps and the rewards of 90."""
    random = Random(3)
    loss = tuple((float(s), 2.6 * 0.992**s + 0.35 + random.gauss(0, 0.04)) for s in range(1, 701, 5))
    reward_steps = range(1, 91)
    hard = [1.1 + s / 90 + random.gauss(0, 0.15) for s in reward_steps]
    form = [0.93 + 0.06 * s / 90 + random.gauss(0, 0.02) for s in reward_steps]
    parts = {"sum": [a + b for a, b in zip(hard, form, strict=True)], "edge_hard_reward": hard, "format_reward": form}
    series = tuple(
        Series(name, tuple((float(s), v) for s, v in zip(reward_steps, values, strict=True)))
        for name, values in parts.items()
    )
    return [
        Curve("SFT loss", "optimizer step", "loss (nats per answer token)", (Series("training loss", loss),)),
        Curve("GRPO reward", "optimizer step", "reward (mean per answer)", series),
    ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A headless Chromium for the tests of one file."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no chromium on PATH: `apt-get install chromium` lets this test open the page in a real browser")
    with open_browser(executable, tmp_path_factory.mktemp("profile")) as page:
        yield page
