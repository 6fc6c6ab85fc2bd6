"""Predictions of a few random images: found, missed and wrong objects and relationships, failures, empty answers."""

from dataclasses import replace

import numpy as np

from r1sgg_cli.data.predictions import ImagePrediction, Predictions
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("dog", "hat", "man", "traffic light"), ("has", "near", "on"))
IMAGE_WH = (200, 100)


def make_graph(generator: np.random.Generator, num_objects: int, num_triplets: int) -> SceneGraph:
    """Random names, boxes and relationships."""
    corners = np.sort(generator.uniform(0, 1, (num_objects, 2, 2)), axis=1) * IMAGE_WH
    names = tuple(str(name) for name in generator.choice(VOCABULARY.objects, num_objects))
    ends = generator.integers(num_objects, size=(num_triplets, 2)).tolist() if num_objects else []
    predicates = generator.choice(VOCABULARY.predicates, len(ends)).tolist()
    triplets = tuple(Triplet(s, predicate, o) for (s, o), predicate in zip(ends, predicates, strict=True))
    ids = tuple(f"{name}.{number}" for number, name in enumerate(names, start=1))
    return SceneGraph(ids, names, corners.reshape(-1, 4).round(1), triplets, IMAGE_WH)


def seen_by(generator: np.random.Generator, truth: SceneGraph, skill: float) -> SceneGraph:
    """The truth as a model sees it that gets each box, name and predicate right with probability `skill`."""
    right = generator.random(len(truth.names)) < skill
    boxes = np.where(right[:, None], truth.boxes_xyxy, np.array([0.0, 0.0, 5.0, 5.0]))
    triplets = tuple(t if generator.random() < skill else t._replace(predicate="near") for t in truth.triplets)
    return replace(truth, boxes_xyxy=boxes, triplets=triplets)


def make_predictions(num_images: int = 30, skill: float = 0.7, seed: int = 0) -> Predictions:
    """Every tenth image failed, the one after it has no answer; the annotations are the same for every `skill`."""
    truths_generator, generator = np.random.default_rng(1), np.random.default_rng([seed, 2])
    images = []
    for number in range(num_images):
        truth = make_graph(truths_generator, int(truths_generator.integers(1, 6)), number % 4)
        failure = {8: "no_json", 9: "missing"}.get(number % 10)
        graph = None if failure else seen_by(generator, truth, skill)
        images.append(ImagePrediction(f"{number:03}", IMAGE_WH, truth, graph, failure, {}, "answer"))
    provenance = {"model": "runs/a_b&c", "dataset": "data/shapes", "split": "test", "gather": {"first_image": "000"}}
    return Predictions(provenance, VOCABULARY, tuple(images))
