"""`r1sgg demo`: nothing but the other commands, called in order on a small recipe."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from PIL import Image

    from r1sgg_cli.report.curves import Curve
    from r1sgg_cli.report.stages import Gain, Stage

BEFORE, AFTER_SFT, AFTER_GRPO = "before SFT", "after SFT", "after GRPO"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything; the recipes stay the same."""

    num_images: int
    num_test: int
    sft: tuple[str, ...] = ()
    grpo: tuple[str, ...] = ()


RECORD = "demo.txt"
"""By which a folder is known as a demo's own."""
FULL = Scale(num_images=14_400, num_test=500)  # no image is seen twice in fine-tuning
QUICK = Scale(1200, 64, sft=("--set", "max_steps=100"), grpo=("--set", "max_steps=6", "--set", "checkpoint_every=3"))


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where everything goes.")] = Path("r1sgg-demo"),
    quick: Annotated[
        bool, typer.Option("--quick", help="A run of a minute that shows each step and learns little.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of scenes, weights and training.")] = 0,
) -> None:
    """The whole story on a CPU, offline, in minutes: data, model, SFT, GRPO, and what each of them brought.

    Renders synthetic scenes, builds a tiny random Qwen2-VL, fine-tunes it on sparsely annotated scenes, trains it on
    with graph rewards, evaluates on held-out images after each step, and writes a page with pictures and curves. Every
    step is a command that you can type; it is printed before it runs. The same command continues a stopped demo.

    Example: r1sgg demo --quick --out /tmp/demo
    """
    began = time.monotonic()
    console = Console(stderr=True)
    typed: list[str] = []

    def run(*argv: str | Path) -> None:
        line = [str(part) for part in argv]
        typed.append(shlex.join(["r1sgg", *line]))
        console.print(f"[bold cyan]$ {escape(typed[-1])}[/]", soft_wrap=True, highlight=False)
        _run_command(line)

    _begin(out, quick, seed)
    stages, gain = _run_story(out, QUICK if quick else FULL, str(seed), run)
    page = out / "index.html"
    _write_page(page, stages, gain, _curves(out), out / "data", typed)
    _print_result(stages, gain, time.monotonic() - began)
    if quick:
        Console().print("`--quick` trains far too little to learn; the numbers mean something without it")
    Console().print(f"pictures and curves: [bold]{escape(str(page))}[/]", soft_wrap=True)


def _begin(out: Path, quick: bool, seed: int) -> None:
    """Make the folder ours, or insist that it is a demo's with the same options. Raises `OutputError`."""
    from r1sgg_cli.errors import OutputError
    from r1sgg_cli.files import insist_on_own_folder, save_text

    insist_on_own_folder(out, RECORD)
    here, record = f"r1sgg demo {'--quick ' if quick else ''}--seed {seed}", out / RECORD
    text = f"The folder of a demo: `{here}` goes on in it.\n"
    there = record.read_text(encoding="utf-8") if record.exists() else text
    if there != text:
        made_by = there.split("`")[1] if there.count("`") == 2 else "something else"
        raise OutputError(f"`{out}` holds the demo of `{made_by}`, and this is `{here}`; give another `--out`")
    save_text(there, record)


def _run_command(argv: list[str]) -> None:
    """Call one subcommand in this process: imports and caches are shared, nothing else is."""
    from r1sgg_cli.cli.app import app

    before, sys.argv = sys.argv, ["r1sgg", *argv]  # what the step records as its command
    try:
        code = app(argv, standalone_mode=False)
    finally:
        sys.argv = before
    if code:
        raise typer.Exit(code)


def _run_story(out: Path, scale: Scale, seed: str, run: Callable[..., None]) -> tuple[list[Stage], Gain]:
    from r1sgg_cli.report.stages import recall_gain

    data, tiny, sft, grpo = out / "data", out / "tiny", out / "sft", out / "grpo"
    counts = ("--num-images", str(scale.num_images), "--num-test", str(scale.num_test))
    run("prepare", "synthetic", "--out", data, *counts, "--seed", seed, "--drop-relationships", "0.6")
    run("tiny", tiny, "--dataset", data, "--seed", seed)
    stages = [_evaluate(BEFORE, tiny, out, run)]
    shared = ("--dataset", data, "--seed", seed, "--recipe")
    run("sft", "--model", tiny, *shared, "demo-sft", "--micro-batch", "16", "--out", sft, *scale.sft)
    stages.append(_evaluate(AFTER_SFT, sft, out, run))
    run("grpo", "--model", sft, *shared, "demo-grpo", "--micro-batch", "128", "--out", grpo, *scale.grpo)
    stages.append(_evaluate(AFTER_GRPO, grpo, out, run))
    return stages, recall_gain(stages, AFTER_SFT, AFTER_GRPO)


def _evaluate(stage: str, model: Path, out: Path, run: Callable[..., None]) -> Stage:
    from r1sgg_cli.data.predictions import load_predictions
    from r1sgg_cli.report.stages import evaluated_stage

    answers = out / "answers" / stage.replace(" ", "-")
    predictions = answers.with_suffix(".json")
    options = ("--dataset", out / "data", "--split", "test", "--grpo", "--max-new-tokens", "96", "--batch-size", "100")
    run("infer", model, answers, *options)
    run("gather", answers, predictions)
    run("eval", predictions)
    return evaluated_stage(stage, load_predictions(predictions))


def _curves(out: Path) -> list[Curve]:
    from r1sgg_cli.data.run_logs import METRICS_FILE, load_metric_rows
    from r1sgg_cli.report.curves import Curve, Series

    def series(run: str, key: str, name: str) -> Series:
        rows = load_metric_rows(out / run / METRICS_FILE)
        return Series(name, tuple((row["step"], row[key]) for row in rows if row.get(key) is not None))

    logged = load_metric_rows(out / "grpo" / METRICS_FILE)[0]
    parts = [key.split("/")[1] for key in logged if key.startswith("rewards/") and key.endswith("/mean")]
    rewards = [series("grpo", f"rewards/{name}/mean", name) for name in parts]
    return [
        Curve("SFT", "optimizer step", "loss (nats per token)", (series("sft", "loss", "loss"),)),
        Curve("GRPO", "optimizer step", "mean reward", (series("grpo", "reward", "weighted sum"), *rewards)),
    ]


def _write_page(
    page: Path, stages: list[Stage], gain: Gain, curves: list[Curve], data: Path, commands: list[str]
) -> None:
    from r1sgg_cli.data.rows import load_rows
    from r1sgg_cli.report.page import write_run_page

    rows = load_rows(str(data), "test")
    position = {image_id: i for i, image_id in enumerate(rows["image_id"])}

    def image_of(image_id: str) -> Image.Image:
        image: Image.Image = rows[position[image_id]]["image"]
        return image

    write_run_page(
        page,
        title="r1sgg demo: a tiny Qwen2-VL learns scene graphs",
        stages=stages,
        gain=gain,
        curves=curves,
        image_of=image_of,
        commands=commands,
    )


def _print_result(stages: list[Stage], gain: Gain, seconds: float) -> None:
    from r1sgg_cli.report.headline import findings, headline_rows

    table = Table(title=f"held-out images: {stages[0].evaluation.num_images}", caption=stages[0].evaluation.protocol)
    for title in ("", *(stage.name for stage in stages)):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    console = Console()
    rows = headline_rows(stages, gain)
    for row in rows:
        table.add_row(f"{row.measure.name} {row.measure.symbol}".strip(), *row.values)
    console.print(table)
    for row in rows:
        console.print(f"[dim]{row.measure.name}: {row.counted}[/]", soft_wrap=True, highlight=False)
    said = findings(stages, gain)
    for sentence in (said.claim, said.interval, said.price):
        console.print(sentence, soft_wrap=True, highlight=False)
    console.print(f"wall time: {seconds / 60:.1f} minutes")
