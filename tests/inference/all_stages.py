"""Texts put through everything that reads a model's answers: parser, rewards, gathering, files, evaluation, report.

Each stage is the real one, and after each stands what must hold of any text: no crash, no number that is none, no box
outside the image, nothing earned by an answer that says nothing.
"""

import json
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from r1sgg_cli.config.reward_names import SCORED
from r1sgg_cli.config.schema import Task
from r1sgg_cli.data.predictions import ImagePrediction, Predictions, load_predictions, save_predictions
from r1sgg_cli.errors import DataError
from r1sgg_cli.inference.answered_split import AnsweredSplit
from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.answers_file import AnswersFile, LoadedAnswers, load_answers
from r1sgg_cli.inference.gather import gather_split
from r1sgg_cli.inference.ground_truth import ImageTruth
from r1sgg_cli.inference.label_mapping import Dictionary, label_mapping
from r1sgg_cli.inference.picking import Pick
from r1sgg_cli.inference.run_record import RunRecord
from r1sgg_cli.metrics.background import NamedSimilarity
from r1sgg_cli.metrics.evaluation import Evaluation
from r1sgg_cli.report.gallery import answer_panel, truth_panel
from r1sgg_cli.report.overlay import Photo
from r1sgg_cli.report.published import published_evaluation
from r1sgg_cli.report.rendering import render_html
from r1sgg_cli.report.stages import evaluate_predictions
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.rewards.batch import read_completion, read_truth
from r1sgg_cli.scene_graph.consensus import consensus
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH
from r1sgg_cli.scene_graph.parse import ParsedAnswer, ParseError, parse_answer
from r1sgg_cli.scene_graph.similarity import exact_similarity
from r1sgg_cli.scene_graph.training_names import TrainingNames, named_triplets
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary
from tests.scene_graph.real_answers import MutatedAnswers, RealAnswer, rows_as_json
from tests.scene_graph.soundness import (
    SLACK,
    insist_on_sound_answer,
    insist_on_sound_consensus,
    insist_on_sound_graph,
)

SPACES: tuple[tuple[SpaceWH, tuple[float, float]], ...] = (
    ((1000.0, 1000.0), (0.0, 0.0)),
    ((1.0, 1.0), (0.0, 0.0)),
    ((1.0, 0.75), (0.0, 0.125)),
    ((644.0, 476.0), (0.0, 0.0)),
    ((640.0, 483.0), (-3.5, 7.25)),
    ((999.0, 1 / 3), (1e6, -0.1)),
)
"""Spaces of boxes and origins, some of which no family has."""
MOST = {"format_reward": 1.0, "node_acc_reward": 2.0, "node_box_reward": 2.0}
"""What a reward may come to at most, 5 where nothing is said."""
SHARES = ("triplet_recall", "mean_recall", "object_", "triplet_precision", "triplet_f1", "box_ap", "failure_rate")
"""Beginnings of the names of metrics that lie between 0 and 1."""
TASKS: tuple[Task, ...] = ("sgg", "sgg", "sgg", "det", "cls")
STRICT = NamedSimilarity("exact", exact_similarity)
PICKS: tuple[Pick, ...] = ("first", "likelihood", "first", "majority", "first", "first", "first", "first")
"""By which a batch after the other is gathered; a majority takes longest."""


Counts = Counter[tuple[str, str]]
"""What became of the texts: a stage or a verdict, and its kind."""


class BrokenRuleError(AssertionError):
    """A rule that does not hold, or a crash; names the text that shows it."""


@contextmanager
def _naming(text: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise BrokenRuleError(f"{type(error).__name__}: {error}; the text: {text!r}") from error


class AllStages:
    """Puts mutated answers through every stage, and counts what became of them."""

    def __init__(
        self, answers: MutatedAnswers, folder: Path, first_batch: int = 0, dictionary: Dictionary | None = None
    ) -> None:
        """`folder` is for files that come and go; the number of a batch says how it is gathered."""
        self.answers, self.folder, self.dictionary = answers, folder, dictionary
        self.generator = random.Random(answers.generator.random())
        self.counts: Counts = Counter()
        self._num_batches = first_batch

    def run(self, num_cases: int, *, gather: bool = True) -> None:
        """Put so many texts through, as one batch; without `gather` through parser and rewards alone.

        Raises `BrokenRuleError`.
        """
        batch = [self.answers.next() for _ in range(num_cases)]
        for text, real in batch:
            with _naming(text):
                self._check_text(text, real)
        if gather:
            with _naming(f"a batch of {num_cases}"):
                self._check_batch(batch)
        self._num_batches += 1

    def _check_text(self, text: str, real: RealAnswer) -> None:
        graph = self._check_parser(text, real)
        self._check_rewards(text, real)
        if self._chance(0.1):
            agreed = consensus(self.generator.choice(([graph], [graph, None], [graph, graph, real.truth])))
            assert graph is None or agreed is not None
            if agreed is not None:
                insist_on_sound_consensus(agreed)

    def _check_parser(self, text: str, real: RealAnswer) -> SceneGraph | None:
        """The graph in pixels; None where there is none."""
        space_wh, origin = (real.box_space_wh, (0.0, 0.0)) if self._chance(0.8) else self.generator.choice(SPACES)
        parsed = _parsed(text, space_wh, origin)
        self.counts["cases", "all"] += 1
        if isinstance(parsed, str):
            self.counts["failed", parsed] += 1
        else:
            self.counts["parsed", "with objects" if parsed.graph.ids else "empty"] += 1
            self.counts.update(("defect", kind) for kind in parsed.defects)
            if self._chance(0.1):
                _insist_on_same_when_written_again(parsed)
        if self._chance(0.2):
            given = _parsed(text, real.image_wh, (0.0, 0.0), real.truth)
            self.counts["given", given if isinstance(given, str) else "parsed"] += 1
        return None if isinstance(parsed, str) else parsed.graph.rescaled(real.image_wh)

    def _check_rewards(self, text: str, real: RealAnswer) -> None:
        objects, relationships = rows_as_json(real)
        task: Task = self.generator.choice(TASKS)
        space_wh, origin = self.generator.choice(SPACES[:4]) if self._chance(0.3) else (real.box_space_wh, (0.0, 0.0))
        truth = read_truth(objects, relationships, real.image_wh, space_wh)
        answer = read_completion(text, space_wh, origin, task, truth)
        graph = answer.graph if answer else None
        says_nothing = graph is None or not (graph.triplets if task == "cls" else graph.ids)
        for name, reward in REWARDS.items():
            (value,) = reward(
                [text],
                objects=[objects],
                relationships=[relationships],
                image_wh=[real.image_wh],
                box_space_wh=[space_wh],
                box_origin=[origin],
                task=[task],
                predicate_weights={},
            )
            if value is None:
                continue
            self.counts["rewards", name] += value > 0
            assert task in SCORED[name], name
            assert math.isfinite(value), (name, value)
            assert value <= MOST.get(name, 5.0) + 1e-9, (name, value)
            if name in SCORED and says_nothing:
                assert value <= (0.5 if name == "format_reward" and graph is not None else 0.0), (name, value)
            if name.startswith("edge") and (graph is None or not graph.triplets):
                assert value <= 0, (name, value)

    # ---- many answers at once

    def _check_batch(self, batch: Sequence[tuple[str, RealAnswer]]) -> None:
        truths, answers = [], []
        for number, (text, real) in enumerate(batch):
            image_id = f"image {number:05}"
            truths.append(ImageTruth(image_id, real.image_wh, real.truth))
            answers.append(self._answer(image_id, text, real))
        pick = PICKS[self._num_batches % len(PICKS)]
        by_file = self._num_batches % 3 == 0
        gathered = self._gathered(truths, self._through_file(answers) if by_file else answers, pick)
        loaded = self._saved_and_loaded(gathered) if by_file else gathered
        evaluation = evaluate_predictions(loaded, 10 if by_file else 0, STRICT if self._num_batches % 5 == 0 else None)
        insist_on_sound_evaluation(evaluation, loaded)
        self._check_published(loaded)
        self.counts["gathered and evaluated", "through files"] += len(batch) * by_file
        self.counts["gathered and evaluated", f"by {pick}"] += len(batch)
        for image in loaded.images[:: max(1, len(loaded.images) // 3)]:
            insist_on_escaped_panel(image)
            self.counts["shown", "panels"] += 1

    def _check_published(self, predictions: Predictions) -> None:
        """The published evaluator, which goes without where a label is outside the vocabulary."""
        try:
            published = published_evaluation(predictions)
        except DataError:
            self.counts["gathered and evaluated", "not as published"] += len(predictions.images)
            return
        self.counts["gathered and evaluated", "as published"] += len(predictions.images)
        content = json.loads(json.dumps(published.to_dict(), allow_nan=False))
        values = [metric["value"] for metric in content["metrics"]]
        assert all(value is None or 0 <= value <= 1 + 1e-12 for value in values), content["metrics"]

    def _answer(self, image_id: str, text: str, real: RealAnswer) -> Answer:
        texts = [text, *(self.answers.next()[0] for _ in range(self.generator.choice((0, 0, 0, 0, 0, 0, 1, 2))))]
        return Answer(image_id, real.box_space_wh, tuple(self._sample(each) for each in texts), image_wh=real.image_wh)

    def _sample(self, text: str) -> Sample:
        """A text, sometimes with probabilities, which sometimes are of other items than are read from it."""
        logprob = -self.generator.expovariate(0.02)
        if self._chance(0.7):
            return Sample(text, "stop", self.generator.randrange(500), logprob)
        parsed = _parsed(text, (1000.0, 1000.0), (0.0, 0.0))
        counts = (0, 0) if isinstance(parsed, str) else (len(parsed.graph.ids), len(parsed.graph.triplets))
        objects, triplets = (self._logprobs(count) for count in counts)
        return Sample(text, "length", 0, logprob, objects, triplets)

    def _logprobs(self, number: int) -> tuple[float | None, ...]:
        values: list[float | None] = [-self.generator.expovariate(1.0) for _ in range(number)]
        if values and self._chance(0.1):
            values[0] = self.generator.choice((None, -math.inf, -1e5, 0.0))
        return tuple(values[1:] if self._chance(0.05) else values)

    def _through_file(self, answers: Sequence[Answer]) -> list[Answer]:
        name = "answers-fuzz.jsonl"
        (self.folder / name).unlink(missing_ok=True)
        with AnswersFile(self.folder, name) as file:
            file.append(answers)
        loaded = load_answers(self.folder)
        assert not loaded.broken
        assert list(loaded.answers.values()) == list(answers)
        return list(loaded.answers.values())

    def _gathered(self, truths: Sequence[ImageTruth], answers: Sequence[Answer], pick: Pick) -> Predictions:
        turn = self._num_batches % 4
        vocabulary = load_vocabulary(("vg150", "psg")[turn // 2]) if turn % 2 else _names_of(truths)
        dictionary = self.dictionary if turn == 1 else None
        use = (lambda _: dictionary) if dictionary is not None else None
        mapping = label_mapping(vocabulary, aliases=None if self._chance(0.7) else False, load_dictionary=use)
        training = None if turn == 3 else _training(self.generator, truths, vocabulary)
        split = AnsweredSplit(RUN, vocabulary, tuple(truths), _loaded(answers), "", training)
        gathered = gather_split(split, pick=pick, mapping=mapping)
        for image in gathered.images:
            assert (image.prediction is None) == (image.failure is not None)
            if image.prediction is not None:
                insist_on_sound_graph(image.prediction, SLACK)
            for scores in (image.object_scores, image.triplet_scores):
                assert scores is None or all(0 <= score <= 1 for score in scores)
        return gathered

    def _saved_and_loaded(self, gathered: Predictions) -> Predictions:
        path = self.folder / "preds.json"
        save_predictions(gathered, path)
        loaded = load_predictions(path)
        assert (loaded.vocabulary, loaded.training) == (gathered.vocabulary, gathered.training)
        assert loaded.provenance == json.loads(json.dumps(gathered.provenance))
        for before, after in zip(gathered.images, loaded.images, strict=True):
            _insist_on_same_image(before, after)
        return loaded

    def _chance(self, share: float) -> bool:
        return self.generator.random() < share


RUN: RunRecord = {
    "model": "a model",
    "model_fingerprint": None,
    "base": None,
    "revision": None,
    "family": "qwen2_vl",
    "dataset": "mutated answers",
    "dataset_fingerprint": None,
    "annotated": True,
    "split": "test",
    "split_size": 0,
    "limit": None,
    "task": "sgg",
    "prompts": {},
    "generation": {},
    "vocabulary": None,
    "versions": {},
    "command": "",
}


def _names_of(truths: Sequence[ImageTruth]) -> Vocabulary:
    names = {name for truth in truths for name in truth.graph.names}
    predicates = {triplet.predicate for truth in truths for triplet in truth.graph.triplets}
    return Vocabulary(tuple(sorted(names)), tuple(sorted(predicates)))


def _training(generator: random.Random, truths: Sequence[ImageTruth], vocabulary: Vocabulary) -> TrainingNames:
    """What a training might have shown: some predicates often, others never, and some names only to come."""
    counts = {name: int(generator.expovariate(0.01)) for name in vocabulary.predicates if generator.random() < 0.8}
    triplets = sorted(named_triplets(truth.graph for truth in truths))
    unseen = frozenset(generator.sample(triplets, len(triplets) // 4))
    half, part = len(vocabulary.objects) // 2, len(vocabulary.predicates) // 2
    base = Vocabulary(vocabulary.objects[:half], vocabulary.predicates[:part])
    novel = Vocabulary(vocabulary.objects[half:], vocabulary.predicates[part:])
    return TrainingNames(counts, unseen, base, novel)


def _loaded(answers: Sequence[Answer]) -> LoadedAnswers:
    return LoadedAnswers({answer.image_id: answer for answer in answers}, (), ())


def _parsed(
    text: str, space_wh: SpaceWH, origin: tuple[float, float], given: SceneGraph | None = None
) -> ParsedAnswer | str:
    """What the parser makes of a text, which is sound, or the kind of its failure."""
    try:
        parsed = parse_answer(text, space_wh, origin, given)
    except ParseError as error:
        return error.kind
    insist_on_sound_answer(parsed)
    return parsed


def _insist_on_same_when_written_again(parsed: ParsedAnswer) -> None:
    """A graph that was read reads the same once it is written as JSON, and has nothing left to repair."""
    objects, relationships = parsed.graph.to_rows()
    written = json.dumps({"objects": objects, "relationships": relationships}).replace(
        "<", "\\u003c"
    )  # a tag in a name
    again = parse_answer(written, parsed.graph.space_wh)
    assert again.graph.to_rows() == parsed.graph.to_rows()
    assert again.graph.names == parsed.graph.names
    assert set(again.defects) <= {"repeated_object", "repeated_relationship"}, again.defects


def _insist_on_same_image(before: ImagePrediction, after: ImagePrediction) -> None:
    assert (before.image_id, before.image_wh, before.failure, before.answer) == (
        *(after.image_id, after.image_wh, after.failure, after.answer),
    )
    assert dict(before.defects) == dict(after.defects)
    for old, new in ((before.ground_truth, after.ground_truth), (before.prediction, after.prediction)):
        assert (old is None) == (new is None)
        if old is not None and new is not None:
            assert (old.ids, old.names, old.triplets) == (new.ids, new.names, new.triplets)
            assert old.boxes_xyxy.tolist() == new.boxes_xyxy.tolist()
    for scores, again in (
        (before.object_scores, after.object_scores),
        (before.triplet_scores, after.triplet_scores),
    ):
        np.testing.assert_allclose(again or (), scores or (), rtol=1e-5)


def insist_on_sound_evaluation(evaluation: Evaluation, predictions: Predictions) -> None:
    """Every number is finite or nothing, shares are shares, and an image without a hit to make recalls nothing."""
    content = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert content["num_images"] == len(predictions.images)
    for metric in evaluation.metrics:
        if math.isnan(metric.value):
            continue
        assert 0 <= metric.value < math.inf, metric
        if metric.interval is not None:
            assert 0 <= metric.interval[0] <= metric.interval[1] < math.inf, metric
        if metric.name.startswith(SHARES) and not metric.name.endswith("s_per_image"):
            assert metric.value <= 1 + 1e-12, metric
    for recall, image in zip(evaluation.triplet_recall_per_image.tolist(), predictions.images, strict=True):
        if not image.ground_truth.triplets:
            assert math.isnan(recall)
        elif image.prediction is None or not image.prediction.triplets:
            assert recall == 0
        else:
            assert 0 <= recall <= 1
    assert all(math.isnan(value) or 0 <= value <= 1 for value in evaluation.recall_per_predicate.values())


# ---- the report


class _Tags(HTMLParser):
    """Names of all elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


def insist_on_escaped_panel(image: ImagePrediction) -> None:
    """What stands in labels and answers adds no element and no attribute to a panel, and can be written as UTF-8."""
    width, height = image.image_wh
    photo = Photo("", (240.0, 240.0 * height / width))
    for panel in (truth_panel(image, photo), answer_panel("answer", image, photo)):
        html = render_html("panel.html.jinja", panel=panel, photo=photo, photo_id="p")
        html.encode()
        found = _Tags()
        found.feed(html)
        assert found.tags <= PANEL_TAGS, found.tags - PANEL_TAGS
        assert not any(name.startswith("on") for name in found.attributes), found.attributes


PANEL_TAGS = frozenset(
    {
        *("section", "h5", "p", "div", "svg", "use", "g", "title", "rect", "text", "strong", "span", "ul", "li", "em"),
        *("details", "summary", "pre"),
    }
)
