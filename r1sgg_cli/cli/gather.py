"""`r1sgg gather`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from r1sgg_cli.cli import options
from r1sgg_cli.cli.answered import Family, Given, Pick, gather_given


def gather(
    answers: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The folder that `r1sgg infer`, or the published code, filled, or the file that its gather wrote.",
        ),
    ],
    predictions: Annotated[Path, typer.Argument(metavar="PREDS.JSON", help="The file to write.")],
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Count images without an answer as failures, not as an error.")
    ] = False,
    pick: Annotated[
        Pick,
        typer.Option(
            help="Of several texts about an image: the first, the likeliest by mean log-probability per token, or what "
            "at least half of them agree on."
        ),
    ] = "first",
    aliases: Annotated[
        bool | None,
        typer.Option(
            "--aliases/--no-aliases",
            help="Map plurals, synonyms and passives into VG150 or PSG; on where the vocabulary is one of them.",
        ),
    ] = None,
    alias_file: Annotated[
        Path | None, typer.Option(help="Your own aliases as JSON; they win over the shipped ones.")
    ] = None,
    wordnet: Annotated[
        bool, typer.Option("--wordnet/--no-wordnet", help="Map what is still outside the vocabulary by WordNet.")
    ] = False,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", help="Published layout only: what was asked about, also a .jsonl file."),
    ] = None,
    split: options.SplitOption = None,
    vocabulary: options.VocabularyOption = None,
    family: Annotated[
        Family | None, typer.Option(help="Published layout only: whose boxes those without `box_scale` are.")
    ] = None,
) -> None:
    """Turn answers into one file of scene graphs, ready for `r1sgg eval`.

    Every answer is parsed, repaired where it can be, and its boxes are brought to pixels of the original image. The
    file carries the ground truth, the vocabulary and what produced it. Prints what had to be repaired, what was mapped
    into the vocabulary and what failed.

    A file of the same model, images and way of asking is made anew, also with another `--pick`, vocabulary or other
    aliases, and it is said what changed; any other file is never replaced.

    Example: r1sgg gather answers/ preds.json
    """
    from r1sgg_cli.cli.gathered import print_gathered
    from r1sgg_cli.data.predictions import FORMAT, save_predictions
    from r1sgg_cli.files import insist_on_own
    from r1sgg_cli.inference.gather import what_is_replaced

    insist_on_own(predictions, FORMAT)
    given = Given(answers, allow_missing, pick, aliases, alias_file, wordnet, dataset, split, vocabulary, family)
    gathered = gather_given(given, predictions)
    replaced = what_is_replaced(predictions, gathered)
    save_predictions(gathered, predictions)
    if replaced:
        Console(stderr=True, soft_wrap=True).print(f"[yellow]note:[/] {escape(replaced)}")
    print_gathered(gathered, predictions)
