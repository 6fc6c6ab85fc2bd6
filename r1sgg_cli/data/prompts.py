"""What the model is asked and what it should answer: system and user prompts, messages, the target text.

A data set's own `prompt_open` and `prompt_close` win over the user prompts here, word for word; only a vocabulary that
the user names wins over `prompt_close`, which lists other categories. They ask for whole scene graphs, so the tasks
`det` and `cls` are asked in our words alone. Targets are compact JSON without a code fence:
the turn's end (or `</answer>`) already says where the graph ends, and a fence costs tokens in every answer; parsing
accepts one all the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from r1sgg_cli.config.schema import Task, ThinkPrompt
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

_WRITTEN: dict[Task, str] = {
    "sgg": "the scene graph of an image",
    "det": "the objects of an image",
    "cls": "the relationships between the objects of an image",
}
_ITS_OWN: dict[Task, str] = {"sgg": "its scene graph", "det": "its objects", "cls": "the relationships"}
LISTS: dict[Task, tuple[str, ...]] = {
    "sgg": ("objects", "relationships"),
    "det": ("objects",),
    "cls": ("relationships",),
}
"""The lists of each task's answer, in the order in which they are written."""

_OBJECTS_FORM = '"objects": [{"id": "name.N", "bbox": [x1, y1, x2, y2]}]'
_RELATIONSHIPS_FORM = '"relationships": [{"subject": "id", "predicate": "words", "object": "id"}]'
_OBJECTS_RULE = """\
- objects: each visible object once. N counts the objects from 1, so that every id is different, as in "person.1" and \
"bike.2"."""
_BOX_RULE = "- bbox: the left, top, right and bottom edge of the object."
_RELATIONSHIPS_RULE = """\
- relationships: what the subject does to the object or where it is, as in "riding" or "in front of". Subject and \
object are ids from the list of objects."""

QUESTIONS: dict[Task, str] = {
    "sgg": f"Write the scene graph of this image as JSON:\n{{{_OBJECTS_FORM}, {_RELATIONSHIPS_FORM}}}\n"
    f"{_OBJECTS_RULE}\n{_BOX_RULE}\n{_RELATIONSHIPS_RULE}",
    "det": f"Write the objects of this image as JSON:\n{{{_OBJECTS_FORM}}}\n{_OBJECTS_RULE}\n{_BOX_RULE}",
    "cls": "Write the relationships between the objects of this image, which are listed below, as JSON:\n"
    f"{{{_RELATIONSHIPS_FORM}}}\n{_RELATIONSHIPS_RULE}\n{_BOX_RULE}",
}
"""What the user asks for each task, less what its boxes mean, the categories, and the objects of `cls`."""


@dataclass(frozen=True, slots=True)
class Prompting:
    """Which of the prompts are used."""

    think: bool
    """`<think>…</think><answer>…</answer>` instead of the JSON alone."""
    predefined: bool
    """Name the categories in the prompt instead of leaving them open."""
    think_prompt: ThinkPrompt = "system"
    """Which prompt asks to think; without `think`, none does."""


def system_prompt(prompting: Prompting, task: Task = "sgg") -> str:
    """The system prompt: thoughts in tags before the answer, or the JSON alone.

    Where the user prompt asks for thoughts, it does not say that the JSON should stand alone.
    """
    if not prompting.think:
        return f"You write {_WRITTEN[task]} as JSON, and nothing else."
    return _think_instruction(task) if prompting.think_prompt == "system" else f"You write {_WRITTEN[task]} as JSON."


def _think_instruction(task: Task) -> str:
    return (
        "Think about the image between <think> and </think>, "
        f"then write {_ITS_OWN[task]} as JSON between <answer> and </answer>."
    )


def user_prompt(
    row: Mapping[str, Any],
    prompting: Prompting,
    box_sentence: str,
    vocabulary: Vocabulary | None = None,
    vocabulary_named: bool = False,
    task: Task = "sgg",
    given: SceneGraph | None = None,
    decimals: int = 0,
) -> str:
    """The user's text for a row: its own prompt if it has one, else ours with `ModelFamily.box_sentence`.

    `vocabulary_named`: the user chose the vocabulary, so a row's own prompt with categories gives way to ours.
    `given`, of task `cls`: the graph whose objects are listed, with the numbers and `decimals` of the family.
    Raises `ConfigError` if categories are to be named and neither the row nor `vocabulary` says which.
    """
    own: str = row.get("prompt_close" if prompting.predefined else "prompt_open") or ""
    if task == "sgg" and own.strip() and not (prompting.predefined and vocabulary_named):
        lines = [own]
    else:
        categories = _category_lines(vocabulary, task) if prompting.predefined else []
        lines = [QUESTIONS[task], f"- {box_sentence}", *categories]
    if given is not None:
        lines.append(f"The objects:\n{_compact(_written_objects(given, decimals))}")
    if prompting.think and prompting.think_prompt == "user":
        lines.append(_think_instruction(task))
    return "\n".join(lines)


def _category_lines(vocabulary: Vocabulary | None, task: Task) -> list[str]:
    if vocabulary is None:
        raise ConfigError(
            "predefined categories need a vocabulary; name one with `--vocabulary vg150`, `psg` or a file"
        )
    lines = {
        "objects": f"Use only these object names: {', '.join(vocabulary.written_objects)}.",
        "relationships": f"Use only these predicates: {', '.join(vocabulary.written_predicates)}.",
    }
    return [lines[name] for name in LISTS[task]]


def build_messages(system: str, user: str, image: Image.Image | None = None) -> list[dict[str, Any]]:
    """A conversation in the form of transformers' chat templates and TRL's trainers: the image first, then the text.

    Without `image` its place is kept: TRL fills it from the row's `images` column.
    """
    picture: dict[str, Any] = {"type": "image"} if image is None else {"type": "image", "image": image}
    return [
        {"role": "system", "content": [{"type": "text", "text": system}]},
        {"role": "user", "content": [picture, {"type": "text", "text": user}]},
    ]


def format_answer(graph: SceneGraph, think: bool = False, decimals: int = 0, task: Task = "sgg") -> str:
    """The text that a model should answer for a graph in its own box space (`ModelFamily.encode`).

    `decimals` is the family's; 0 writes whole numbers. Thoughts are left empty: annotations hold none, and invented
    ones would be learned.
    """
    lists = {"objects": _written_objects(graph, decimals), "relationships": graph.to_rows()[1]}
    text = _compact({name: lists[name] for name in LISTS[task]})
    return f"<think></think><answer>{text}</answer>" if think else text


def _written_objects(graph: SceneGraph, decimals: int) -> list[dict[str, Any]]:
    digits = decimals or None  # `None` makes `round` write integers
    return [{"id": row["id"], "bbox": [round(value, digits) for value in row["bbox"]]} for row in graph.to_rows()[0]]


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
