"""What the model is asked and what it should answer: system and user prompts, messages, the target text.

A data set's own `prompt_open` and `prompt_close` win over the user prompts here, word for word; only a vocabulary that
the user names wins over `prompt_close`, which lists other categories. Targets are compact JSON without a code fence:
the turn's end (or `</answer>`) already says where the graph ends, and a fence costs tokens in every answer; parsing
accepts one all the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

PLAIN_SYSTEM_PROMPT = "You write the scene graph of an image as JSON, and nothing else."
THINK_SYSTEM_PROMPT = (
    "Think about the image between <think> and </think>, "
    "then write its scene graph as JSON between <answer> and </answer>."
)

TASK = """\
Write the scene graph of this image as JSON:
{"objects": [{"id": "name.N", "bbox": [x1, y1, x2, y2]}], "relationships": [{"subject": "id", "predicate": "words", \
"object": "id"}]}
- objects: each visible object once. N counts the objects from 1, so that every id is different, as in "person.1" and \
"bike.2".
- bbox: the left, top, right and bottom edge of the object.
- relationships: what the subject does to the object or where it is, as in "riding" or "in front of". Subject and \
object are ids from the list of objects."""


@dataclass(frozen=True, slots=True)
class Prompting:
    """Which of the prompts are used."""

    think: bool
    """`<think>…</think><answer>…</answer>` instead of the JSON alone."""
    predefined: bool
    """Name the categories in the prompt instead of leaving them open."""


def system_prompt(think: bool) -> str:
    """The system prompt: reasoning in tags before the answer, or the JSON alone."""
    return THINK_SYSTEM_PROMPT if think else PLAIN_SYSTEM_PROMPT


def user_prompt(
    row: Mapping[str, Any],
    prompting: Prompting,
    box_sentence: str,
    vocabulary: Vocabulary | None = None,
    vocabulary_named: bool = False,
) -> str:
    """The user's text for a row: its own prompt if it has one, else ours with `ModelFamily.box_sentence`.

    `vocabulary_named`: the user chose the vocabulary, so a row's own prompt with categories gives way to ours.
    Raises `ConfigError` if categories are to be named and neither the row nor `vocabulary` says which.
    """
    own: str = row.get("prompt_close" if prompting.predefined else "prompt_open") or ""
    if own.strip() and not (prompting.predefined and vocabulary_named):
        return own
    open_prompt = f"{TASK}\n- {box_sentence}"
    if not prompting.predefined:
        return open_prompt
    if vocabulary is None:
        raise ConfigError(
            "predefined categories need a vocabulary; name one with `--vocabulary vg150`, `psg` or a file"
        )
    return (
        f"{open_prompt}\nUse only these object names: {', '.join(vocabulary.written_objects)}.\n"
        f"Use only these predicates: {', '.join(vocabulary.written_predicates)}."
    )


def build_messages(system: str, user: str, image: Image.Image | None = None) -> list[dict[str, Any]]:
    """A conversation in the form of transformers' chat templates and TRL's trainers: the image first, then the text.

    Without `image` its place is kept: TRL fills it from the row's `images` column.
    """
    picture: dict[str, Any] = {"type": "image"} if image is None else {"type": "image", "image": image}
    return [
        {"role": "system", "content": [{"type": "text", "text": system}]},
        {"role": "user", "content": [picture, {"type": "text", "text": user}]},
    ]


def format_answer(graph: SceneGraph, think: bool = False, decimals: int = 0) -> str:
    """The text that a model should answer for a graph in its own box space (`ModelFamily.encode`).

    `decimals` is the family's; 0 writes whole numbers. Thoughts are left empty: annotations hold none, and invented
    ones would be learned.
    """
    objects, relationships = graph.to_rows()
    digits = decimals or None  # `None` makes `round` write integers
    rounded = [{"id": row["id"], "bbox": [round(value, digits) for value in row["bbox"]]} for row in objects]
    answer = {"objects": rounded, "relationships": relationships}
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return f"<think></think><answer>{text}</answer>" if think else text
