"""From data set rows to what TRL's trainers take. Rows are turned lazily, one batch at a time: memory stays flat."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from r1sgg_cli.data.prompts import Prompting, build_messages, format_answer, system_prompt, user_prompt
from r1sgg_cli.data.rows import load_rows, parse_ground_truth
from r1sgg_cli.models.families import FAMILIES, ModelFamily, ModelType
from r1sgg_cli.models.images import ImageLimits, fit_image
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExampleMaker:
    """How rows become examples for one model."""

    family: ModelFamily
    limits: ImageLimits
    prompting: Prompting
    vocabulary: Vocabulary | None
    vocabulary_named: bool = False
    """Whether the user chose the vocabulary, which then wins over a row's own prompt."""

    def prompt(self, row: Row) -> list[dict[str, Any]]:
        """The conversation up to the answer, with a place for the image."""
        text = user_prompt(row, self.prompting, self.family.box_sentence, self.vocabulary, self.vocabulary_named)
        return build_messages(system_prompt(self.prompting.think), text)

    def sft_example(self, row: Row) -> dict[str, Any]:
        """Prompt, image in the size that the model sees, and the answer with boxes in the family's own units."""
        graph = parse_ground_truth(row["image_id"], row["objects"], row["relationships"], row["image"].size)
        image = fit_image(row["image"], self.limits)
        answer = format_answer(self.family.encode(graph, image.size), self.prompting.think, self.family.decimals)
        completion = [{"role": "assistant", "content": [{"type": "text", "text": answer}]}]
        return {"prompt": self.prompt(row), "completion": completion, "images": [image]}

    def grpo_example(self, row: Row) -> dict[str, Any]:
        """Prompt, image in the size that the model sees, and what the rewards compare with."""
        image = fit_image(row["image"], self.limits)
        return {
            "prompt": self.prompt(row),
            "image": image,
            "objects": row["objects"],
            "relationships": row["relationships"],
            "image_wh": list(row["image"].size),
            "box_space_wh": list(self.family.box_space_wh(row["image"].size, image.size)),
            "box_origin": list(self.family.box_origin(row["image"].size)),
        }


def lazy_examples(rows: Dataset, make: Callable[[Row], dict[str, Any]]) -> Dataset:
    """`rows` whose items are `make(row)`, computed when they are read."""

    def transform(batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        examples = [make(dict(zip(batch, values, strict=True))) for values in zip(*batch.values(), strict=True)]
        return {key: [example[key] for example in examples] for key in examples[0]}

    return rows.with_transform(transform)


def tokenizer_texts(dataset: str, model_type: ModelType) -> Iterator[str]:
    """Every prompt and answer of a data set's train split, to train a tiny tokenizer on; images stay on disk."""
    rows = load_rows(dataset, "train")
    family = FAMILIES[model_type]
    for think in (False, True):
        yield system_prompt(think)
        for predefined in (False, True):
            yield user_prompt(rows[0], Prompting(think, predefined), family.box_sentence, Vocabulary((), ()))
    for row in rows:
        graph = parse_ground_truth(row["image_id"], row["objects"], row["relationships"], row["image"].size)
        answer = family.encode(graph, row["image"].size)
        yield format_answer(answer, decimals=family.decimals)  # its tags are tokens of their own
