"""How a checkpoint was trained to be asked, kept beside its weights so that inference asks in the same way."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import get_args

from r1sgg_cli.config.schema import Task, ThinkPrompt
from r1sgg_cli.errors import MALFORMED, ModelError, in_words
from r1sgg_cli.files import save_text
from r1sgg_cli.typed_names import adapters_alone

ASKING_FILE = "r1sgg.json"


@dataclass(frozen=True, slots=True)
class Asking:
    """The prompt's form and the size of images."""

    think: bool
    """`<think>…</think><answer>…</answer>` (GRPO) or the JSON alone (SFT)."""
    predefined_categories: bool
    max_pixels: int
    think_prompt: ThinkPrompt = "system"
    """Which prompt asks to think."""
    tasks: tuple[str, ...] = ("sgg",)
    """What was asked for."""

    def __post_init__(self) -> None:
        if not (isinstance(self.think, bool) and isinstance(self.predefined_categories, bool)):
            raise ValueError("`think` and `predefined_categories` are true or false")
        if type(self.max_pixels) is not int or self.think_prompt not in get_args(ThinkPrompt):
            raise ValueError("`max_pixels` is a whole number, `think_prompt` system or user")
        if not {*self.tasks} <= {*get_args(Task)}:
            raise ValueError("`tasks` are of " + ", ".join(get_args(Task)))


def save_asking(asking: Asking, folder: Path) -> None:
    """Write `r1sgg.json`; it is the last file of a finished training."""
    save_text(json.dumps(asdict(asking), indent=2) + "\n", folder / ASKING_FILE)


def load_asking(model: str) -> Asking | None:
    """What a checkpoint folder says; None where it says nothing, as with a base model or a hub name.

    For the adapters of a finished run its folder, in which they lie, says it.
    """
    folder = Path(model)
    path = folder / ASKING_FILE
    if not path.is_file() and adapters_alone(folder):
        path = folder.resolve().parent / ASKING_FILE
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if strange := values.keys() - {field.name for field in fields(Asking)}:
            raise ValueError(f"it has `{min(strange)}`, which this version does not know")
        needed = {field.name: values[field.name] for field in fields(Asking)}
        return Asking(**{**needed, "tasks": tuple(needed["tasks"])})
    except MALFORMED as error:
        raise ModelError(
            f"`{path}` is broken: {in_words(error)}; delete it to ask with the command's own options"
        ) from error
