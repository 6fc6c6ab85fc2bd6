"""CPU time and memory of `r1sgg eval` on 1,000 to 26,446 images: `python -m tests.benchmarks.bench_eval`.

The file of 5,000 has the size of the one that the published evaluator was timed on (81 s CPU): 5,000 images, 52,446
annotated objects, 28,631 annotated relationships, about 42,000 predicted objects. The others have as many per image;
26,446 is VG150's test split. All are seeded: every run scores the same files.
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
from r1sgg_cli.metrics.detection import BoxDetection
from r1sgg_cli.metrics.flat import flatten_pair
from r1sgg_cli.metrics.objects import object_hits
from r1sgg_cli.metrics.resampling import NUM_RESAMPLES, resampled_weights
from r1sgg_cli.metrics.triplets import triplet_candidates
from r1sgg_cli.report.published import published_evaluation
from r1sgg_cli.report.stages import evaluate_predictions
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.training_names import TrainingNames, named_triplets
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

NUM_IMAGES, NUM_OBJECTS, NUM_RELATIONSHIPS = 5_000, 52_446, 28_631
PUBLISHED_SECONDS = 81.0
SIZES = (1_000, NUM_IMAGES, 26_446)
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


def make_predictions(seed: int = 0, num_images: int = NUM_IMAGES) -> Predictions:
    """The whole file, or one of another number of images that are as large."""
    generator = np.random.default_rng(seed)
    vocabulary = load_vocabulary("vg150")
    share = num_images / NUM_IMAGES
    even = np.full(num_images, 1 / num_images)
    num_objects = 2 + generator.multinomial(round(share * NUM_OBJECTS) - 2 * num_images, even)
    num_triplets = generator.multinomial(round(share * NUM_RELATIONSHIPS), even)
    images = []
    for number in range(num_images):
        truth = make_graph(generator, vocabulary, int(num_objects[number]), int(num_triplets[number]))
        failed = bool(generator.random() < FAILURE_SHARE)
        prediction = None if failed else make_prediction(generator, vocabulary, truth)
        answer = "x" * 1_500
        failure = "no_json" if failed else None
        images.append(ImagePrediction(f"{number:07}", IMAGE_WH, truth, prediction, failure, {}, answer))
    shown = sorted(named_triplets(image.ground_truth for image in images))
    counts = {name: 10 * rank for rank, name in enumerate(vocabulary.predicates)}
    training = TrainingNames(counts, frozenset(shown[::10]))
    provenance = {"model": "benchmark", "dataset": f"seed {seed}", "gather": {"first_image": images[0].image_id}}
    return Predictions(provenance, vocabulary, tuple(images), training)


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
    boxes = BoxDetection(*flat)
    mark("box matches")
    for weights in resampled_weights(len(truths), NUM_RESAMPLES):
        boxes.under(weights)
    mark(f"AP and AR in {NUM_RESAMPLES} resamples")
    evaluate_predictions(loaded)
    mark("every standard number")
    evaluation = evaluate_predictions(loaded, NUM_RESAMPLES)
    mark(f"every standard number with {NUM_RESAMPLES} resamples")
    published_evaluation(loaded)
    mark("the published numbers")
    for (_, start), (phase, end) in pairwise(marks):
        print(f"{end - start:8.2f} s  {phase}")
    for name in ("objects_per_image", "triplet_recall", "box_ap50"):
        print(f"{evaluation.value(name):8.4f}    {name}")


COMMAND = """
import atexit, pathlib, re, sys, typer
from r1sgg_cli.cli.eval import evaluate
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: print(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1], file=sys.stderr))
typer.run(evaluate)
"""
"""`r1sgg eval`, with its peak memory in KiB said at its end."""


def time_command(path: Path, *options: str) -> tuple[float, float]:
    """CPU seconds and peak MiB of `r1sgg eval` from start to exit."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", COMMAND, str(path), "--out", f"{path}.numbers.json", *options]
    done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, int(done.stderr.splitlines()[-1]) / 1024


def main() -> None:
    """Make the files, time the phases of one, then time the command from start to exit on all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "preds.json"
        save_predictions(make_predictions(), path)
        print(f"{path.stat().st_size / 1e6:8.1f} MB preds.json of {NUM_IMAGES} images")
        time_phases(path)
        print("`r1sgg eval preds.json` from start to exit, both protocols, all intervals:")
        for num_images in SIZES:
            save_predictions(make_predictions(num_images=num_images), path)
            (seconds, memory), (plain, _) = time_command(path), time_command(path, "--resamples", "0")
            print(f"{num_images:8,} images: {seconds:6.2f} s CPU ({plain:.2f} s without intervals), {memory:.0f} MiB")
            if num_images == NUM_IMAGES:
                times = PUBLISHED_SECONDS / seconds
                print(f"{times:8.1f} x  faster than the published evaluator's {PUBLISHED_SECONDS:.0f} s without any")


if __name__ == "__main__":
    main()
