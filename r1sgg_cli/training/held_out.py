"""Held-out images as a model in training is asked about them, and the numbers of its answers.

Questions, parsing and numbers are those of `infer`, `gather` and `eval`; a test holds the two ways equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from r1sgg_cli.config.held_out import held_out_split
from r1sgg_cli.config.schema import GRPORun, SFTRecipe, SFTRun
from r1sgg_cli.data.draw import drawn_rows
from r1sgg_cli.data.prompts import Prompting
from r1sgg_cli.data.rows import check_graphs, decoded, load_rows, parse_ground_truth, undecoded
from r1sgg_cli.data.vocabularies import vocabulary_of
from r1sgg_cli.errors import DataError
from r1sgg_cli.metrics.evaluation import evaluate
from r1sgg_cli.metrics.ranking import UNSCORED, GraphScores
from r1sgg_cli.models.completion import Completion
from r1sgg_cli.models.families import ModelFamily, unsampled_token_ids
from r1sgg_cli.models.images import image_limits
from r1sgg_cli.models.probabilities import graph_probabilities
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.parse import ParseError, parse_answer
from r1sgg_cli.scene_graph.scores import scores_from_logprobs
from r1sgg_cli.training.examples import ExampleMaker

FROM_EVALUATE = (
    *("triplet_recall", "mean_recall", "triplet_precision", "triplet_f1"),
    *("object_recall", "box_ap50", "failure_rate", "relationships_per_image"),
)
"""What is taken of `metrics.evaluation`, under its names; where a number has a K, all relationships count."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A held-out image with what was written about it, in pixels of the original image."""

    image_id: str
    truth: SceneGraph
    graph: SceneGraph | None
    """None where no graph could be read."""
    is_cut_off: bool
    scores: GraphScores = UNSCORED
    """Of the graph's objects and triplets; none where the engine gave no probabilities."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What limits the writing of an answer."""

    unsampled: tuple[int, ...]
    """Tokens that are never written."""
    max_new_tokens: int
    at_once: int
    """Images that transformers' generation answers together."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The images that one run is evaluated on, and how they are answered."""

    rows: Dataset
    maker: ExampleMaker
    predicates: tuple[str, ...]
    """Those of the vocabulary, for the recall over all of it."""
    writing: Writing

    def __len__(self) -> int:
        return len(self.rows)

    def example(self, position: int) -> dict[str, Any]:
        """Prompt and image of a row, and the space of the boxes in its answer."""
        return self.maker.grpo_example(decoded(self.rows[position]))

    def answer(self, position: int, completion: Completion, example: dict[str, Any], tokenizer: Any) -> Answer:
        """What a completion says about a row's image; `example` is the one that was asked, `tokenizer` wrote it."""
        width, height = example["image_wh"]
        row = self.rows.select_columns(["image_id", "objects", "relationships"])[position]
        truth = parse_ground_truth(row["image_id"], row["objects"], row["relationships"], (width, height))
        is_cut_off = completion.finish_reason == "length"
        graph, scores = _graph(completion, example, tokenizer)
        return Answer(row["image_id"], truth, graph, is_cut_off, scores)


def _graph(completion: Completion, example: dict[str, Any], tokenizer: Any) -> tuple[SceneGraph | None, GraphScores]:
    (width, height), (left, top) = example["box_space_wh"], example["box_origin"]
    try:
        parsed = parse_answer(completion.text, (width, height), (left, top))
    except ParseError:
        return None, UNSCORED
    found = graph_probabilities(completion, parsed, tokenizer, (left, top))
    scores = None if found is None else scores_from_logprobs(parsed.graph, found.objects, found.triplets)
    graph = parsed.graph.rescaled((float(example["image_wh"][0]), float(example["image_wh"][1])))
    return graph, UNSCORED if scores is None else GraphScores(*scores)


def load_held_out_rows(run: SFTRun | GRPORun) -> Dataset | None:
    """The rows that a run is evaluated on; None where it is not. Raises `R1SGGError` for a set that cannot be used."""
    split, evaluation = held_out_split(run), run.recipe.evaluation
    if split is None or evaluation is None:
        return None
    rows = load_rows(split.dataset, split.split)
    if not len(rows):
        raise DataError(f"{split} has no image to evaluate on; name another with `evaluation.split`")
    if len(set(rows["image_id"])) != len(rows):
        raise DataError(f"{split} repeats image ids, so that its answers could not be told apart")
    rows = drawn_rows(rows, evaluation.num_images, evaluation.seed)
    check_graphs(rows)
    return undecoded(rows)


def hold_out(run: SFTRun | GRPORun, rows: Dataset, family: ModelFamily, processor: Any) -> HeldOut:
    """How the run's model is asked about `rows`: as `infer` asks, with the whole vocabulary and for whole graphs.

    Raises `ConfigError` where categories are to be named and nothing says which.
    """
    split, recipe = held_out_split(run), run.recipe
    assert split is not None
    assert recipe.evaluation is not None
    vocabulary = vocabulary_of(split.dataset, run.vocabulary)
    maker = ExampleMaker(
        family,
        image_limits(family.fitting, processor, recipe.max_pixels),
        Prompting(recipe.think, recipe.predefined_categories, recipe.think_prompt),
        vocabulary,
        vocabulary_named=run.vocabulary is not None,
    )
    max_new_tokens = recipe.max_answer_tokens if isinstance(recipe, SFTRecipe) else recipe.max_new_tokens
    writing = Writing(unsampled_token_ids(run.model), max_new_tokens, recipe.evaluation.images_at_once)
    predicates = vocabulary.predicates if vocabulary else ()
    held_out = HeldOut(rows, maker, predicates, writing)
    held_out.example(0)  # what cannot be asked is said before the first step
    return held_out


def scores(answers: Sequence[Answer], predicates: Sequence[str]) -> dict[str, float]:
    """The numbers of a set of answers; NaN where there is nothing to average."""
    answers = sorted(answers, key=lambda answer: answer.image_id)  # as `gather` has them: AP depends on the order
    evaluation = evaluate(
        [one.truth for one in answers],
        [one.graph for one in answers],
        predicates,
        [one.scores for one in answers],
    )
    graphs = [one.graph for one in answers if one.graph is not None]
    num_empty = sum(not (graph.names and graph.triplets) for graph in graphs)
    return {
        **{name: evaluation.value(name) for name in FROM_EVALUATE},
        "empty_graphs": num_empty / len(answers),
        "cut_off_answers": sum(one.is_cut_off for one in answers) / len(answers),
    }
