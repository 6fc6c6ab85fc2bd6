"""`r1sgg doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from r1sgg_cli.launch.finding import Finding

STYLES = {"ok": "green", "note": "yellow", "missing": "bold red", "wrong": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check what this machine has against what r1sgg needs, and say how to mend what is missing.

    Python and packages, GPUs and drivers, vLLM, DeepSpeed, Slurm, hub cache, disks. Exit code 1 where something that
    is needed is missing or wrong; a note leaves it at 0.

    Example: r1sgg doctor
    """
    import json
    import os
    from dataclasses import asdict

    from r1sgg_cli.launch.doctor import examine

    findings = examine(os.environ, Path.cwd())
    shown = list(findings) if as_json else _show(findings)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in shown], indent=1))
    if any(finding.is_fault for finding in shown):
        raise typer.Exit(1)


def _show(findings: Iterator[Finding]) -> list[Finding]:
    """A table that grows as checks end."""
    console = Console()
    table = Table("check", "", "what is here, and what mends it")
    shown: list[Finding] = []
    with Live(table, console=console, transient=True):
        for finding in findings:
            shown.append(finding)
            mend = f"\n[bold]{escape(finding.remedy)}[/]" if finding.remedy else ""
            table.add_row(finding.name, f"[{STYLES[finding.state]}]{finding.state}[/]", escape(finding.detail) + mend)
    console.print(table)
    return shown
