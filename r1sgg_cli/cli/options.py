"""Options that several subcommands share, each declared once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

MODEL_HELP = "A checkpoint's folder, or its name on the Hugging Face hub."
DATASET_HELP = "A folder written by `r1sgg prepare`, or a data set's name on the hub."

LOGGERS = ("tensorboard", "wandb", "trackio")

WHAT_IS_ASKED = "What is asked"
"""The panel of what decides a prompt."""

Precision = Literal["bf16", "float32"]
Launcher = Literal["here", "torchrun", "allocation", "slurm"]

ModelOption = Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)]
DatasetOption = Annotated[str, typer.Option("--dataset", "-d", help=DATASET_HELP)]
SplitOption = Annotated[str | None, typer.Option("--split", help="The data set's split.")]
RunOption = Annotated[
    Path, typer.Option("--out", "-o", help="The run's folder: checkpoints, metrics.jsonl, the finished model.")
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe", "-r", help="A shipped recipe's name or a .yaml file; the published settings when not given."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one recipe value, `trainer.OPTION` under TRL's own name, or `preset.OPTION`. Repeatable.",
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset", "-p", help="A GPU profile's name or .yaml file (`r1sgg presets`); this machine when not given."
    ),
]
LauncherOption = Annotated[
    Launcher | None,
    typer.Option("--launcher", help="Where it starts; found out when not given: here if this machine has the GPUs."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan and what would be started; touch nothing.")
]
MicroBatchOption = Annotated[
    int | None,
    typer.Option(
        "--micro-batch",
        min=1,
        help="Sequences in one forward pass: memory and speed, never what is learned. The most that fit, if not given.",
    ),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option("--precision", help="The preset's when not given: bf16 where the GPU computes in it."),
]
VocabularyOption = Annotated[
    str | None,
    typer.Option("--vocabulary", help="`vg150`, `psg` or a JSON file; the data set's own when not given."),
]
PredefinedOption = Annotated[
    bool | None,
    typer.Option(
        "--predefined-cats/--open-cats",
        help="Whether the prompt lists the categories; as in training when not given.",
        rich_help_panel=WHAT_IS_ASKED,
    ),
]
ThinkOption = Annotated[
    bool | None,
    typer.Option(
        "--grpo/--no-grpo",
        help="Ask for <think> and <answer>, as GRPO models are; as in training when not given.",
        rich_help_panel=WHAT_IS_ASKED,
    ),
]
MaxPixelsOption = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        help="Resize images to at most this; as in training when not given.",
        rich_help_panel=WHAT_IS_ASKED,
    ),
]


def _insist_on_loggers(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in LOGGERS:
            raise typer.BadParameter(f"`{name}` is none of {', '.join(LOGGERS)}")
    return names


ReportOption = Annotated[
    list[str] | None,
    typer.Option(
        "--report-to",
        callback=_insist_on_loggers,
        help="`tensorboard`, `wandb` or `trackio`, beside metrics.jsonl. Repeatable.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of data order, dropout and sampling.")]

VG150_TRAIN = "JosephZ/vg150_train_sgg_prompt"
VG150_VAL = "JosephZ/vg150_val_sgg_prompt"
