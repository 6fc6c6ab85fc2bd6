"""Whether 95 % intervals hold what they are for: the numbers of the population that the images were drawn from."""

from random import Random

import numpy as np

from r1sgg_cli.metrics.detection import BoxDetection
from r1sgg_cli.metrics.flat import flatten_pair
from r1sgg_cli.metrics.number import measured
from r1sgg_cli.metrics.object_numbers import box_numbers
from r1sgg_cli.metrics.ranking import Ranking
from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows

CLASSES = [f"class {letter}" for letter in "abcdefghijkl"]
WEIGHTS = [1 / rank for rank in range(1, len(CLASSES) + 1)]
"""Few classes are frequent, as in real data: of the rare ones AP is the most uncertain."""
UNSCORED = Ranking(0, 1, 0, 1)


def _graph(objects: list[tuple[str, int]]) -> SceneGraph:
    rows = [
        {"id": f"{name}.{number}", "bbox": [left, 0, left + 20, 20]} for number, (name, left) in enumerate(objects, 1)
    ]
    return graph_from_rows(rows, [], (400, 40))


def _image(random: Random) -> tuple[SceneGraph, SceneGraph]:
    """Annotated objects, and what a model sees of them: in an easy image more than in a hard one."""
    names, ease = random.choices(CLASSES, WEIGHTS, k=random.randint(2, 6)), random.random()
    seen = []
    for place, name in enumerate(names):
        if random.random() < ease:
            seen.append((name, place * 30 + random.randint(0, 8)))
        elif random.random() < 0.6:
            seen.append((random.choices(CLASSES, WEIGHTS)[0], place * 30 + 15))
    return _graph([(name, place * 30) for place, name in enumerate(names)]), _graph(seen)


def test_the_intervals_of_100_images_hold_the_ap_of_all_of_them() -> None:
    """An interval around AP, as it suits means, holds it in 0.65 of these cases."""
    random, num_trials = Random(0), 60
    population = [_image(random) for _ in range(3_000)]

    def boxes_of(images: list[tuple[SceneGraph, SceneGraph]]) -> BoxDetection:
        truths, answers = zip(*images, strict=True)
        return BoxDetection(*flatten_pair(truths, answers))

    sought = np.concatenate(boxes_of(population).under(np.ones((len(population), 1), dtype=np.uint8))).tolist()
    held = np.zeros(3)
    for _ in range(num_trials):
        boxes = boxes_of(random.sample(population, 100))
        metrics = measured(box_numbers(boxes, UNSCORED), boxes, 100, num_resamples=200)
        intervals = [metric.interval or (np.nan, np.nan) for metric in metrics]
        held += [low <= value <= high for value, (low, high) in zip(sought, intervals, strict=True)]
    assert (held / num_trials >= 0.85).all(), held / num_trials
