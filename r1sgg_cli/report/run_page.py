"""The page of one training: its curves, where its time goes, what looked wrong, and what the model answers."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from r1sgg_cli.config.record import LAUNCH_FILE, TRAINING_RECORD
from r1sgg_cli.config.yaml import load_yaml
from r1sgg_cli.data.run_logs import METRICS_FILE, WARNINGS_FILE, load_metric_rows
from r1sgg_cli.files import save_text
from r1sgg_cli.models.asking import ASKING_FILE
from r1sgg_cli.report.curves import lay_out
from r1sgg_cli.report.facts import nested_facts
from r1sgg_cli.report.node_layout import WIDTH
from r1sgg_cli.report.rendering import render_html
from r1sgg_cli.report.run_curves import PHASES, speed_curves, training_curves
from r1sgg_cli.report.run_gallery import group_sections
from r1sgg_cli.report.stack import lay_out_stack
from r1sgg_cli.report.view import MARK, NUM_COLOURS

RUN_PAGE = "run.html"
"""In the run's folder."""
MAX_WARNINGS = 50


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a training which has begun."""
    return (folder / TRAINING_RECORD).is_file()


def write_page_of_run(folder: Path, path: Path | None = None) -> None:
    """Write the page of a training's folder, `run.html` in it unless `path` names another place.

    Raises `OutputError`, `ConfigError` and `AnswersError`.
    """
    record = load_yaml(folder / TRAINING_RECORD)
    rows = _rows(folder / METRICS_FILE)
    warnings = _rows(folder / WARNINGS_FILE)
    html = render_html(
        "run.html.jinja",
        mark=MARK,
        title=folder.absolute().name,
        stage=str(record.get("stage", "")).upper(),
        status=_status(rows, is_finished=(folder / ASKING_FILE).exists()),
        warnings=warnings[: -MAX_WARNINGS - 1 : -1],
        num_warnings=len(warnings),
        curves=[(curve, lay_out(curve)) for curve in training_curves(rows)],
        stack=lay_out_stack(rows, "time/", PHASES),
        speed=[(curve, lay_out(curve)) for curve in speed_curves(rows)],
        groups=group_sections(folder),
        facts=[*_preset(folder), *nested_facts(record)],
        num_colours=NUM_COLOURS,
        num_partners=0,
        width=WIDTH,
    )
    save_text(html, path or folder / RUN_PAGE)


def _rows(path: Path) -> list[dict[str, Any]]:
    return load_metric_rows(path) if path.exists() else []


def _status(rows: list[dict[str, Any]], *, is_finished: bool) -> str:
    """How far the run is, by its last log; that it is finished only where its model is there."""
    if not rows:
        return "no step is logged yet"
    last = rows[-1]
    of_all = f" of {last['max_steps']:,}" if "max_steps" in last else ""
    logged = f", logged {datetime.fromtimestamp(last['time'], UTC):%Y-%m-%d %H:%M} UTC" if "time" in last else ""
    model = "finished" if is_finished else "its model is not written yet"
    ended = f", {model}" if is_finished or last["step"] == last.get("max_steps") else ""
    return f"step {last['step']:,}{of_all}{ended}{logged}"


def _preset(folder: Path) -> list[tuple[str, str]]:
    """Under which preset a launcher started the run; a run that was started in its own process has none."""
    path = folder / LAUNCH_FILE
    return [("preset", str(load_yaml(path).get("preset")))] if path.exists() else []
