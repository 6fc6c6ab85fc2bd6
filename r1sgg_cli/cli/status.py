"""`r1sgg status` and `r1sgg cancel`."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from r1sgg_cli.launch.status import StageStatus

RUNS = Path("runs")
STYLES = {
    "finished": "green",
    "running": "cyan",
    "failed": "bold red",
    "unreadable": "bold red",
    "stopped": "yellow",
    "cancelled": "yellow",
}
SECONDS = 5.0

RunArgument = Annotated[
    Path | None, typer.Argument(metavar="[RUN]", help="The folder of a run or an experiment; all in runs/ without.")
]


def status(
    run: RunArgument = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again every 5 seconds until all is over.")] = False,
) -> None:
    """Show how far runs are: state in the queue, last step, reward or loss, time left.

    Example: r1sgg status runs/experiment --watch
    """
    from r1sgg_cli.launch.status import is_over

    rows = _look(run)
    if not watch:
        Console().print(_shown(rows))
        return
    with Live(_shown(rows), console=Console(), auto_refresh=False) as live:
        while not all(is_over(row.state) for _, row in rows):
            time.sleep(SECONDS)
            rows = _look(run)
            live.update(_shown(rows), refresh=True)


def cancel(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run or an experiment.")],
) -> None:
    """Take the jobs of a run or an experiment out of the queue. What they finished is kept.

    Example: r1sgg cancel runs/experiment
    """
    from r1sgg_cli.launch.dispatch import load_submitted
    from r1sgg_cli.launch.slurm import cancel as cancel_jobs
    from r1sgg_cli.launch.slurm import job_states
    from r1sgg_cli.launch.status import insist_on_known

    insist_on_known(run)
    submitted = load_submitted(run)
    states = job_states([job.job_id for job in submitted]) if submitted else {}
    left = [job for job in submitted if job.job_id in states and not states[job.job_id].is_over]
    cancel_jobs([job.job_id for job in left])
    named = ", ".join(f"{job.name} ({job.job_id})" for job in left)
    typer.echo(f"cancelled: {named}" if left else f"no job of {run} is in the queue")


def _look(run: Path | None) -> list[tuple[str, StageStatus]]:
    """Each line with its name, which for an experiment's stage begins with the experiment's."""
    from r1sgg_cli.launch.status import known_runs, status_of, status_or_fault

    folders = [run] if run is not None else known_runs(RUNS)
    if not folders:
        typer.echo(f"no runs in {RUNS}/; `r1sgg status FOLDER` looks elsewhere")
        raise typer.Exit
    return [
        (row.name if row.folder == folder else f"{folder.absolute().name}/{row.name}", row)
        for folder in folders
        for row in (status_of if run is not None else status_or_fault)(folder)
    ]


def _shown(rows: Sequence[tuple[str, StageStatus]]) -> Group:
    """The table, and below it the logs to look into, whole."""
    logs = [Text(f"{name}: look into {row.log}", overflow="fold") for name, row in rows if row.log]
    return Group(_table(rows), *logs)


def _table(rows: Sequence[tuple[str, StageStatus]]) -> Table:
    table = Table(Column("run", overflow="fold"), "state", "job", "step", "last", "left", "note")
    for name, row in rows:
        progress = row.progress
        of = f" of {progress.max_steps:,}" if progress else ""
        style = STYLES.get(row.state, "")
        table.add_row(
            escape(name),
            f"[{style}]{row.state}[/]" if style else row.state,
            str(row.job_id or ""),
            f"{progress.step:,}{of}" if progress else "",
            f"{progress.watched[0]} {progress.watched[1]:.3f}" if progress and progress.watched else "",
            _left(progress.seconds_left) if progress and row.state == "running" else "",
            escape(row.note),
        )
    return table


def _left(seconds: float | None) -> str:
    return "" if seconds is None else str(timedelta(seconds=round(seconds)))
