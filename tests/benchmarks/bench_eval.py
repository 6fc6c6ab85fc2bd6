"""CPU time of `r1sgg eval` on 5,000 images: `python tests/benchmarks/bench_eval.py`.

The file has the size of the one that the published evaluator was timed on (81 s CPU): 5,000 images, 52,446 annotated
objects, 28,631 annotated relationships, about 42,000 predicted objects. It is seeded: every run scores the same file.
"""

import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from r1sgg_cli.data.predictions import ImagePrediction, Predictions, load_predictions, save_predictions
from r1sgg_cli.metrics.detection import box_ap
from r1sgg_cli.metrics.evaluation import evaluate
from r1sgg_cli.metrics.flat import flatten_pair
from r1sgg_cli.metrics.objects import object_hits
from r1sgg_cli.metrics.triplets import triplet_candidates
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

NUM_IMAGES, NUM_OBJECTS, NUM_RELATIONSHIPS = 5_000, 52_446, 28_631
PUBLISHED_SECONDS = 81.0
FAILURE_SHARE, KEPT_SHARE, RIGHT_NAME_SHARE, RIGHT_PREDICATE_SHARE = 0.03, 0.82, 0.85, 0.6
IMAGE_WH = (800, 600)


def make_graph(
    generator: np.random.Generator, vocabulary: Vocabulary, num_objects: int, num_triplets: int
) -> SceneGraph:
    """A graph of random boxes, names and relationships."""
    corners = np.sort(generator.uniform(0, 1, (num_objects, 2, 2)), axis=1) * IMAGE_WH
    names = tuple(vocabulary.objects[i] for i in generator.integers(len(vocabulary.objects), size=num_objects))
    triplets = tuple(
        Triplet(int(subject), vocabulary.predicates[predicate], int(target))
        for subject, predicate, target in zip(
            generator.integers(num_objects, size=num_triplets),
            generator.integers(len(vocabulary.predicates), size=num_triplets),
            generator.integers(num_objects, size=num_triplets),
            strict=True,
        )
    )
    ids = tuple(f"{name}.{number}" for number, name in enumerate(names, start=1))
    return SceneGraph(ids, names, corners.reshape(-1, 4).round(), triplets, IMAGE_WH)


def make_prediction(generator: np.random.Generator, vocabulary: Vocabulary, truth: SceneGraph) -> SceneGraph:
    """The truth as a middling model sees it: objects left out, boxes off, names and predicates wrong."""
    kept = np.flatnonzero(generator.random(len(truth.ids)) < KEPT_SHARE)
    place = {int(old): new for new, old in enumerate(kept)}
    noise = generator.normal(0, 20, (len(kept), 4))
    boxes = np.clip(np.sort((truth.boxes_xyxy[kept] + noise).reshape(-1, 2, 2), axis=1), 0, IMAGE_WH).reshape(-1, 4)
    other = vocabulary.objects[int(generator.integers(len(vocabulary.objects)))]
    names = tuple(truth.names[i] if generator.random() < RIGHT_NAME_SHARE else other for i in kept)
    wrong = vocabulary.predicates[int(generator.integers(len(vocabulary.predicates)))]
    triplets = tuple(
        Triplet(place[t.subject], t.predicate if generator.random() < RIGHT_PREDICATE_SHARE else wrong, place[t.object])
        for t in truth.triplets
        if t.subject in place and t.object in place
    )
    ids = tuple(f"{name}.{number}" for number, name in enumerate(names, start=1))
    return SceneGraph(ids, names, boxes.round(2), triplets, IMAGE_WH)


def make_predictions(seed: int = 0) -> Predictions:
    """The whole file."""
    generator = np.random.default_rng(seed)
    vocabulary = load_vocabulary("vg150")
    num_objects = 2 + generator.multinomial(NUM_OBJECTS - 2 * NUM_IMAGES, np.full(NUM_IMAGES, 1 / NUM_IMAGES))
    num_triplets = generator.multinomial(NUM_RELATIONSHIPS, np.full(NUM_IMAGES, 1 / NUM_IMAGES))
    images = []
    for number in range(NUM_IMAGES):
        truth = make_graph(generator, vocabulary, int(num_objects[number]), int(num_triplets[number]))
        failed = bool(generator.random() < FAILURE_SHARE)
        prediction = None if failed else make_prediction(generator, vocabulary, truth)
        answer = "x" * 1_500
        failure = "no_json" if failed else None
        images.append(ImagePrediction(f"{number:07}", IMAGE_WH, truth, prediction, failure, {}, answer))
    return Predictions({"model": "benchmark", "dataset": f"seed {seed}"}, vocabulary, tuple(images))


def time_phases(path: Path) -> None:
    """Print CPU seconds of each phase within one process."""
    marks = [("", time.process_time())]

    def mark(phase: str) -> None:
        marks.append((phase, time.process_time()))

    loaded = load_predictions(path)
    mark("load")
    truths, answers = [i.ground_truth for i in loaded.images], [i.prediction for i in loaded.images]
    flat = flatten_pair(truths, answers)
    mark("flatten")
    object_hits(*flat)
    mark("object hits")
    triplet_candidates(*flat).hits()
    mark("triplet hits")
    box_ap(*flat)
    mark("box AP")
    evaluation = evaluate(truths, answers, loaded.vocabulary.predicates)
    mark("evaluate, all of the above but load")
    for (_, start), (phase, end) in pairwise(marks):
        print(f"{end - start:8.2f} s  {phase}")
    for name in ("objects_per_image", "triplet_recall", "box_ap50"):
        print(f"{evaluation.value(name):8.4f}    {name}")


def main() -> None:
    """Make the file, time the phases, then time the command from start to exit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "preds.json"
        save_predictions(make_predictions(), path)
        print(f"{path.stat().st_size / 1e6:8.1f} MB preds.json")
        time_phases(path)
        command = "import typer; from r1sgg_cli.cli.eval import evaluate; typer.run(evaluate)"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", command, str(path)], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{seconds:8.2f} s  CPU, `r1sgg eval preds.json` from start to exit")
        print(f"{PUBLISHED_SECONDS / seconds:8.1f} x  faster than the published evaluator's {PUBLISHED_SECONDS:.0f} s")


if __name__ == "__main__":
    main()
