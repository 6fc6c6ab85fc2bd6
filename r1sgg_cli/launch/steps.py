"""How many optimizer steps a run takes, and how long that may be: known before anything is queued.

Hours are scaled from the four durations that the published repository states, by the number of steps, sequences and
parameters, and by the peak FLOP/s of the cards. They are a guess of the right size, and each says what it is based on.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from r1sgg_cli.config.hardware import Preset
from r1sgg_cli.config.held_out import held_out_split
from r1sgg_cli.config.published_sets import PUBLISHED_ROWS
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import DataError
from r1sgg_cli.typed_names import missing_local

PREPARED = "prepare.json"
"""What `prepare` writes last into a data set's folder."""


def num_rows(dataset: str, split: str | None) -> int | None:
    """Images of a data set's split, as `prepare` recorded them or as published; None where nothing says it.

    Without a split it is `train`, or the only one.
    """
    if dataset in PUBLISHED_ROWS:
        return PUBLISHED_ROWS[dataset]
    rows = _prepared_rows(dataset)
    return rows.get(split or ("train" if "train" in rows else next(iter(rows), "")))


def insist_on_split(dataset: str, split: str | None) -> None:
    """Refuse a folder that is not there, and a split that a prepared data set does not have. Raises `DataError`."""
    if said := missing_local(dataset):
        raise DataError(f"{said}; give a data set's folder, or a name on the hub (`OWNER/NAME`)")
    rows = _prepared_rows(dataset)
    if rows and split is not None and split not in rows:
        raise DataError(f"`{dataset}` has no split `{split}`; it has {', '.join(f'`{name}`' for name in rows)}")


def insist_on_held_out(run: SFTRun | GRPORun) -> None:
    """The same for the images that a run is evaluated on. Raises `R1SGGError`."""
    if held_out := held_out_split(run):
        insist_on_split(held_out.dataset, held_out.split)


def num_held_out(run: SFTRun | GRPORun) -> int:
    """Images of each evaluation of a run, at most; 0 where there is none. Raises `ConfigError`."""
    held_out, evaluation = held_out_split(run), run.recipe.evaluation
    if held_out is None or evaluation is None:
        return 0
    return min(evaluation.num_images, num_rows(held_out.dataset, held_out.split) or evaluation.num_images)


def num_evaluations(run: SFTRun | GRPORun, steps: int) -> int:
    """How often a run of so many steps is evaluated: before the first step, every so many, and after the last."""
    evaluation = run.recipe.evaluation
    return 0 if evaluation is None else 1 + math.ceil(steps / evaluation.every)


def _prepared_rows(dataset: str) -> dict[str, int]:
    """Split -> images of a set that `prepare` wrote; none of a set that something else wrote."""
    try:
        rows = json.loads((Path(dataset) / PREPARED).read_text(encoding="utf-8"))["rows"]
        return {str(name): int(number) for name, number in rows.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def num_steps(run: SFTRun | GRPORun, rows: int | None) -> int | None:
    """Optimizer steps as the trainers count them: SFT's last batch may be smaller, GRPO leaves out a part of a batch.

    Answers that are dropped for their length are not known yet and count as kept.
    """
    recipe = run.recipe
    if recipe.max_steps:
        return recipe.max_steps
    if rows is None:
        return None
    per_epoch = math.ceil(rows / run.recipe.batch_size) if run.stage == "sft" else rows // run.recipe.prompts_per_step
    return math.ceil(per_epoch * recipe.num_epochs)


UNKNOWN_TFLOPS = 71
"""Of a card whose speed is not known, when hours are guessed."""


@dataclass(frozen=True, slots=True)
class Hours:
    """An expected duration and what it is based on."""

    hours: float
    basis: str


@dataclass(frozen=True, slots=True)
class _Published:
    stage: str
    name: str
    billion_parameters: float
    hours: float
    num_gpus: int
    gpu: str
    bf16_tflops: float
    num_sequences: int


_PUBLISHED = (  # README of the published code; sequences: SFT 3 epochs, GRPO 1 epoch of 8 answers, on VG150's 56,224
    _Published("sft", "2B", 2.21, 4, 4, "A100", 312, 3 * 56_224),
    _Published("sft", "7B", 8.29, 10, 4, "A100", 312, 3 * 56_224),
    _Published("grpo", "2B", 2.21, 12, 16, "A100", 312, 8 * 56_224),
    _Published("grpo", "7B", 8.29, 16, 16, "GH200", 989, 8 * 56_224),
)


def expected_hours(run: SFTRun | GRPORun, preset: Preset, num_parameters: int, steps: int | None) -> Hours | None:
    """How long `steps` may take; None where nothing that was published compares.

    Nothing does for a CPU, and for GRPO whose answers come from transformers' own, far slower generation.
    """
    is_slow = isinstance(run, GRPORun) and run.rollouts.engine == "transformers"
    if steps is None or preset.gpu is None or is_slow:
        return None
    billions = num_parameters / 1e9
    nearest = min(
        (published for published in _PUBLISHED if published.stage == run.stage),
        key=lambda published: abs(math.log(published.billion_parameters / billions)),
    )
    sequences = steps * sequences_per_step(run)
    work = sequences / nearest.num_sequences * billions / nearest.billion_parameters
    speed = preset.num_gpus * (preset.gpu.bf16_tflops or UNKNOWN_TFLOPS) / (nearest.num_gpus * nearest.bf16_tflops)
    basis = (
        f"the published {nearest.hours:g} h of {nearest.name} on {nearest.num_gpus} {nearest.gpu}, "
        "scaled by sequences, parameters and peak FLOP/s"
    )
    return Hours(nearest.hours * work / speed, basis)


def sequences_per_step(run: SFTRun | GRPORun) -> int:
    """Sequences in the global batch: SFT's examples, GRPO's prompts times answers."""
    if run.stage == "sft":
        return run.recipe.batch_size
    return run.recipe.prompts_per_step * run.recipe.num_generations
