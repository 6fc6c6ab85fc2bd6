"""The card of a finished model: what it is, how it came about, how it is asked. TRL's names no base model, and asks for
text that the model does not write."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1sgg_cli import __version__
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.config.yaml import dump_yaml
from r1sgg_cli.models.asking import Asking
from r1sgg_cli.typed_names import may_be_on_hub

CARD_FILE = "README.md"
_STAGES = {"sft": "supervised fine-tuning", "grpo": "GRPO on rewards that score the graph"}


def model_card(
    run: SFTRun | GRPORun,
    asking: Asking,
    step: int,
    numbers: Mapping[str, float],
    box_sentence: str,
    *,
    is_adapter: bool = False,
) -> str:
    """The text of a model's card, its metadata first, as the hub reads them.

    `step` is that of the model's weights, `numbers` are those of its evaluation on held-out images, if there was one;
    `box_sentence` says in which units it writes boxes. `is_adapter`: for adapters beside the model that they change.
    """
    metadata: dict[str, Any] = {
        "library_name": "peft" if is_adapter else "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["scene-graph-generation", "r1sgg", run.stage],
    }
    metadata |= {"base_model": run.model} if may_be_on_hub(run.model) else {}
    metadata |= {"datasets": [run.dataset]} if may_be_on_hub(run.dataset) else {}
    what = "Adapters that make" if is_adapter else "Makes"
    parts = [
        f"---\n{dump_yaml(metadata)}---",
        f"# {run.out.absolute().name}",
        f"{what} `{run.model}` write the scene graph of an image: its objects with boxes, and the relationships "
        "between them, as JSON.",
        f"Trained by r1sgg {__version__}: {_STAGES[run.stage]} on the split `{run.split or 'train'}` of "
        f"`{run.dataset}`; these are the weights after step {step}.",
        _recipe(run),
        *([_evaluated(numbers)] if numbers else []),
        _asked(run.out / "adapter" if is_adapter else run.out, asking, box_sentence),
    ]
    return "\n\n".join(parts) + "\n"


def _recipe(run: SFTRun | GRPORun) -> str:
    changed = run.recipe.model_dump(mode="json", exclude_defaults=True)
    if not changed:
        return "## Recipe\n\nThe published one, as r1sgg has it."
    return (
        f"## Recipe\n\nThe published one, as r1sgg has it, but for:\n\n```yaml\n{dump_yaml(changed)}```\n\n"
        "`run.yaml` has every field."
    )


def _evaluated(numbers: Mapping[str, float]) -> str:
    rows = "\n".join(f"| {name.replace('_', ' ')} | {value:.4f} |" for name, value in numbers.items())
    return f"## Evaluated\n\nOn held-out images, while it was trained:\n\n| number | value |\n|---|---|\n{rows}"


def _asked(folder: Path, asking: Asking, box_sentence: str) -> str:
    form = "thinks in `<think>…</think>`, then answers in `<answer>…</answer>`" if asking.think else "answers at once"
    listed = "lists the categories" if asking.predefined_categories else "lists no categories"
    tasks = f" Its tasks were {', '.join(asking.tasks)}." if asking.tasks != ("sgg",) else ""
    commands = f"r1sgg infer {folder} photo.jpg\nr1sgg infer {folder} answers --images photos/"
    return (
        f"## How it is asked\n\n```bash\n{commands}\n```\n\n"
        f"`r1sgg.json` says how it was trained to be asked: it {form}, and the prompt {listed}."
        f"{tasks} {box_sentence} Images are resized to at most {asking.max_pixels} pixels."
    )
