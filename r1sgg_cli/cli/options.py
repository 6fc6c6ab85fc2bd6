"""Options that several subcommands share, each declared once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

MODEL_HELP = "A checkpoint's folder, or its name on the Hugging Face hub."
DATASET_HELP = "A folder written by `r1sgg prepare`, or a data set's name on the hub."

Precision = Literal["bf16", "float32"]

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
        help="Override one recipe value, also `trainer.OPTION` under TRL's own name. Repeatable.",
    ),
]
MicroBatchOption = Annotated[
    int,
    typer.Option(
        "--micro-batch", min=1, help="Sequences in one forward pass: memory and speed, never what is learned."
    ),
]
PrecisionOption = Annotated[
    Precision | None, typer.Option("--precision", help="bf16 where the GPU has it, else float32, when not given.")
]
VocabularyOption = Annotated[
    str | None,
    typer.Option("--vocabulary", help="`vg150`, `psg` or a JSON file; the data set's own when not given."),
]
ReportOption = Annotated[
    list[str] | None,
    typer.Option("--report-to", help="`tensorboard`, `wandb` or `trackio`, beside metrics.jsonl. Repeatable."),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of data order, dropout and sampling.")]

VG150_TRAIN = "JosephZ/vg150_train_sgg_prompt"
VG150_VAL = "JosephZ/vg150_val_sgg_prompt"
