"""From data set rows to what TRL's trainers take. Rows are turned lazily, one batch at a time: memory stays flat."""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from datasets import Dataset

from r1sgg_cli.config.schema import Task
from r1sgg_cli.data.prompts import Prompting, build_messages, format_answer, system_prompt, user_prompt
from r1sgg_cli.data.rows import decoded, load_rows, parse_ground_truth, sized_rows, undecoded
from r1sgg_cli.errors import DataError
from r1sgg_cli.models.families import FAMILIES, ModelFamily, ModelType
from r1sgg_cli.models.images import ImageLimits, fit_image, resized_wh
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.shorten import least_parts, shorten
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from r1sgg_cli.training.schedule import Schedule

Row = Mapping[str, Any]

POSITION = "position"
"""The column that says which row of the whole split a row is: what `Schedule` goes by."""
NUM_TOKENS = "num_tokens"
"""The column that says how many tokens a row has in which it differs from the others: its image's and its answer's."""


@dataclass(frozen=True, slots=True)
class AnswerLimit:
    """The longest answer that is taught, in tokens of a checkpoint's own tokenizer, its end token included."""

    tokenizer: Any
    num_tokens: int

    def lengths(self, answers: Sequence[str]) -> list[int]:
        """The number of tokens of each answer."""
        return [len(ids) + 1 for ids in self.tokenizer(list(answers), add_special_tokens=False).input_ids]


@dataclass(frozen=True, slots=True)
class Target:
    """What a row's answer should say."""

    task: Task
    graph: SceneGraph
    """In pixels of the original image."""
    resized_wh: tuple[int, int]
    """The size in which the model sees the image."""


@dataclass(frozen=True, slots=True)
class ExampleMaker:
    """How rows become examples for one model."""

    family: ModelFamily
    limits: ImageLimits
    prompting: Prompting
    vocabulary: Vocabulary | None
    vocabulary_named: bool = False
    """Whether the user chose the vocabulary, which then wins over a row's own prompt."""
    schedule: Schedule | None = None
    """Tasks and orders; without it every row is asked for its graph as annotated."""
    shortened_to: AnswerLimit | None = None
    """Answers are shortened to this; None keeps them whole."""

    def sft_example(self, row: Row) -> dict[str, Any]:
        """Prompt, image in the size that the model sees, and the answer with boxes in the family's own units."""
        image = fit_image(row["image"], self.limits)
        target = self.target(row, row["image"].size)
        completion = [{"role": "assistant", "content": [{"type": "text", "text": self.answer(target)}]}]
        return {"prompt": self.prompt(row, target), "completion": completion, "images": [image]}

    def grpo_example(self, row: Row) -> dict[str, Any]:
        """Prompt, image in the size that the model sees, and what the rewards compare with."""
        image = fit_image(row["image"], self.limits)
        target = self.target(row, row["image"].size)
        objects, relationships = target.graph.to_rows()
        return {
            "prompt": self.prompt(row, target),
            "image_id": row["image_id"],
            "image": image,
            "objects": json.dumps(objects),
            "relationships": json.dumps(relationships),
            "image_wh": list(row["image"].size),
            "box_space_wh": list(self.family.box_space_wh(row["image"].size, image.size)),
            "box_origin": list(self.family.box_origin(row["image"].size)),
            "task": target.task,
        }

    def key(self, row: Row) -> Hashable:
        """What tells a row's example from any other of the run."""
        return (self.schedule.epoch.number if self.schedule else 0, row[POSITION])

    def target(self, row: Row, image_wh: tuple[int, int], task: Task | None = None) -> Target:
        """A row's task, or the one that is named, and the graph to answer with. Raises `DataError` on a bad row.

        An image without relationships has nothing to answer as `cls` and is asked for another task of the run.
        """
        graph = parse_ground_truth(row["image_id"], row["objects"], row["relationships"], image_wh)
        if self.schedule is not None:
            graph = self.schedule.ordered(graph, row[POSITION])
            task = task or self.schedule.task(row[POSITION])
        if task == "cls" and not graph.triplets:
            task = self._instead_of_cls()
        task = task or "sgg"
        target = Target(task, graph, resized_wh(image_wh, self.limits))
        return target if self.shortened_to is None else self.shortened(target, self.shortened_to)

    def _instead_of_cls(self) -> Task:
        """`cls` itself where the run has nothing else: such rows are dropped before it starts."""
        tasks = self.schedule.tasks if self.schedule else {"sgg": 1.0}
        return next((task for task in ("sgg", "det") if task in tasks), "cls")

    def shortened(self, target: Target, limit: AnswerLimit) -> Target:
        """The target with the longest answer that is no longer than `limit`; see `scene_graph.shorten`."""

        def fits(graph: SceneGraph) -> bool:
            return self._fits(replace(target, graph=graph), limit)

        return replace(target, graph=shorten(target.graph, fits, objects_are_given=target.task == "cls"))

    def can_be_shortened(self, target: Target, limit: AnswerLimit) -> bool:
        """Whether an item is left of the target's answer once it is no longer than `limit`."""
        shuffled = self.schedule is not None and self.schedule.shuffle
        parts = least_parts(target.graph, objects_are_given=target.task == "cls", in_any_order=shuffled)
        return all(part.ids and self._fits(replace(target, graph=part), limit) for part in parts)

    def _fits(self, target: Target, limit: AnswerLimit) -> bool:
        return limit.lengths([self.answer(target)])[0] <= limit.num_tokens

    def prompt(self, row: Row, target: Target) -> list[dict[str, Any]]:
        """The conversation up to the answer, with a place for the image."""
        text = user_prompt(
            row,
            self.prompting,
            self.family.box_sentence,
            self.vocabulary,
            self.vocabulary_named,
            target.task,
            given=self._written(target) if target.task == "cls" else None,
            decimals=self.family.decimals,
        )
        return build_messages(system_prompt(self.prompting, target.task), text)

    def answer(self, target: Target) -> str:
        """The text to be learned."""
        return format_answer(self._written(target), self.prompting.think, self.family.decimals, target.task)

    def _written(self, target: Target) -> SceneGraph:
        """The target's graph in the model's own box space."""
        return self.family.encode(target.graph, target.resized_wh)


def lazy_examples(
    rows: Dataset, make: Callable[[Row], dict[str, Any]], key: Callable[[Row], Hashable] | None = None
) -> Dataset:
    """`rows` whose items are `make(row)`, computed when they are read.

    Rows of one `key` are made once in a batch, and not again in the next one: TRL asks for each image as often as it
    generates, and for each batch as often as it takes micro-steps. Then not even their images are decoded again.
    """
    remembered: dict[Hashable, dict[str, Any]] = {}

    def transform(batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        nonlocal remembered
        asked = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        keys = [number if key is None else key(row) for number, row in enumerate(asked)]
        made: dict[Hashable, dict[str, Any]] = {}
        for row_key, row in zip(keys, asked, strict=True):
            if row_key not in made:
                known = remembered.get(row_key) if key is not None else None
                made[row_key] = known or make(decoded(row))
        remembered = made if key is not None else {}
        return {name: [made[row_key][name] for row_key in keys] for name in made[keys[0]]}

    return undecoded(rows).with_transform(transform)


def tokenizer_texts(dataset: str, model_type: ModelType) -> Iterator[str]:
    """The prompts as the first row has them, then every answer of a data set's train split, to train a tokenizer on.

    Images are not decoded. Raises `DataError`, also where the split is empty.
    """
    rows = load_rows(dataset, "train")
    if not len(rows):
        raise DataError(f"split `train` of `{dataset}` is empty; a tokenizer is made of its answers: name another set")
    first = rows.remove_columns("image")[0]
    family = FAMILIES[model_type]
    for think in (False, True):
        yield system_prompt(Prompting(think, predefined=False))
        for predefined in (False, True):
            yield user_prompt(first, Prompting(think, predefined), family.box_sentence, Vocabulary((), ()))
    for row, image_wh in sized_rows(rows):
        graph = parse_ground_truth(row["image_id"], row["objects"], row["relationships"], image_wh)
        answer = family.encode(graph, image_wh)
        yield format_answer(answer, decimals=family.decimals)  # its tags are tokens of their own
