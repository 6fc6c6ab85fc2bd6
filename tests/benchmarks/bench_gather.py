"""CPU time of `r1sgg gather` on 5,000 answers: `python tests/benchmarks/bench_gather.py`.

The answers have the size of those that the published code was timed on (7.5 s CPU): about ten objects and six
relationships each. One label in ten is outside the vocabulary. They are seeded: every run gathers the same ones, from
our folder, from the published layout, and with eight texts for each image.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.answers_file import AnswersFile, worker_file
from r1sgg_cli.inference.ground_truth import ImageTruth, save_ground_truth
from r1sgg_cli.inference.run_record import RunRecord, save_run
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary
from tests.benchmarks.bench_eval import IMAGE_WH, NUM_IMAGES, make_prediction, make_predictions

PUBLISHED_SECONDS = 7.5
STRANGER_SHARE, NUM_TEXTS = 0.1, 8
STRANGERS = ("bicycle", "coffee table", "gentleman", "sofa", "xyzzy")


def make_text(generator: np.random.Generator, graph: SceneGraph) -> str:
    """What a model would write about the graph, in thousandths of the image's sides."""
    objects, relationships = graph.rescaled((1000, 1000)).to_rows()
    ids = {
        row["id"]: f"{generator.choice(STRANGERS)}.{number}" if generator.random() < STRANGER_SHARE else row["id"]
        for number, row in enumerate(objects, start=1)
    }
    content: dict[str, Any] = {
        "objects": [{"id": ids[row["id"]], "bbox": [round(value) for value in row["bbox"]]} for row in objects],
        "relationships": [
            {**row, "subject": ids[row["subject"]], "object": ids[row["object"]]} for row in relationships
        ],
    }
    return f"<think>It may be so.</think>\n<answer>{json.dumps(content)}</answer>"


def make_sample(generator: np.random.Generator, graph: SceneGraph) -> Sample:
    """A text with the probabilities of its parts."""
    logprobs = (tuple((-generator.exponential(0.3, n)).tolist()) for n in (len(graph.names), len(graph.triplets)))
    return Sample(make_text(generator, graph), "stop", 400, -40.0, *logprobs)


def make_answers(seed: int = 0) -> tuple[list[ImageTruth], list[Answer]]:
    """Ground truth and answers, of which the first is gathered by default; some cannot be read."""
    generator, vocabulary = np.random.default_rng(seed), load_vocabulary("vg150")
    truths, answers = [], []
    for image in make_predictions(seed).images:
        truths.append(ImageTruth(image.image_id, image.image_wh, image.ground_truth))
        samples = _samples(generator, vocabulary, image.ground_truth, image.prediction)
        answers.append(Answer(image.image_id, (1000.0, 1000.0), samples))
    return truths, answers


def _samples(
    generator: np.random.Generator, vocabulary: Vocabulary, truth: SceneGraph, prediction: SceneGraph | None
) -> tuple[Sample, ...]:
    graphs = [prediction, *(make_prediction(generator, vocabulary, truth) for _ in range(NUM_TEXTS - 1))]
    return tuple(
        Sample("I see nothing.", "stop", 4, -2.0) if graph is None else make_sample(generator, graph)
        for graph in graphs
    )


def save_ours(folder: Path, truths: Sequence[ImageTruth], answers: Sequence[Answer]) -> None:
    """A folder as `infer` fills it."""
    vocabulary = load_vocabulary("vg150")
    run: RunRecord = {
        "model": "benchmark",
        "model_fingerprint": None,
        "base": None,
        "revision": None,
        "family": "Qwen2-VL",
        "dataset": "seed 0",
        "dataset_fingerprint": None,
        "annotated": True,
        "split": None,
        "split_size": len(truths),
        "limit": None,
        "task": "sgg",
        "prompts": {},
        "generation": {},
        "vocabulary": {"objects": list(vocabulary.objects), "predicates": list(vocabulary.predicates)},
        "versions": {},
        "command": "r1sgg infer",
    }
    save_run(run, folder)
    save_ground_truth(truths, folder)
    with AnswersFile(folder, worker_file("here-0")) as file:
        file.append(answers)


def save_published(folder: Path, answers: Sequence[Answer]) -> None:
    """A folder as the published code fills it."""
    folder.mkdir()
    for answer in answers:
        content = {"image_id": answer.image_id, "response": answer.samples[0].text, "box_scale": answer.box_space_wh}
        (folder / f"{answer.image_id}.json").write_text(json.dumps(content), encoding="utf-8")


def time_gather(what: str, *arguments: str | Path) -> float:
    """CPU seconds of the command from start to exit, printed and returned."""
    command = "from r1sgg_cli.__main__ import main; main()"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    argv = [sys.executable, "-c", command, "gather", *map(str, arguments)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{seconds:8.2f} s  CPU, {what}")
    return seconds


def main() -> None:
    """Make the folders, then time the command on each from start to exit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truths, answers = make_answers()
        firsts = [replace(answer, samples=answer.samples[:1]) for answer in answers]
        save_ours(folder / "ours", truths, firsts)
        save_ours(folder / "eight", truths, answers)
        save_published(folder / "published", firsts)
        size = (folder / "ours" / worker_file("here-0")).stat().st_size
        print(f"{size / 1e6:8.1f} MB of answers, {NUM_IMAGES} images of {IMAGE_WH[0]} × {IMAGE_WH[1]}")
        seconds = time_gather("our folder, with scores and aliases", folder / "ours", folder / "ours.json")
        print(f"{PUBLISHED_SECONDS / seconds:8.1f} x  faster than the published gathering's {PUBLISHED_SECONDS} s")
        given = "--dataset", folder / "ours" / "ground_truth.jsonl", "--vocabulary", "vg150"
        time_gather("the published layout", folder / "published", folder / "published.json", *given)
        for pick in ("likelihood", "majority"):
            out = folder / f"{pick}.json"
            time_gather(f"{NUM_TEXTS} texts an image, --pick {pick}", folder / "eight", out, "--pick", pick)
        time_gather("our folder, with WordNet", folder / "ours", folder / "ours.json", "--wordnet")


if __name__ == "__main__":
    main()
