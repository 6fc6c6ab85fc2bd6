"""A run's record on disk: written once, and compared when the run goes on; and what a launcher hands to its workers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from r1sgg_cli.config.differences import differences
from r1sgg_cli.config.layers import validated
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.config.yaml import dump_yaml, load_yaml
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.files import save_text

TRAINING_RECORD = "run.yaml"
"""What a run's folder was made with, written by the worker that begins it."""
LAUNCH_FILE = "launch.yaml"
"""What workers are to run, written by the launcher."""
SERVER_URL = "R1SGG_SERVER_URL"
"""The environment variable by which a job's script names its rollout server."""
LAUNCHER_FILES = (LAUNCH_FILE, "job.sh", "jobs.json", "logs")
"""What a launcher may leave in a run's folder before the run begins."""

CHANGES_NOTHING = frozenset(
    {
        *("report_to", "micro_batch", "world_size", "stop_file", "step_timeout_minutes", "gradient_checkpointing"),
        *("engine", "gpu_memory_utilization", "server_url", "images_at_once"),
        *("cards", "show_every", "versions"),
    }
)
"""Fields that may differ between two starts of one run. Sharding may not: each kind saves its optimizer its own way."""


_MOST_SAID = 5
"""Differences in one line of error."""


def why_no_model(folder: Path) -> str | None:
    """Why the folder of a training holds no finished model, in a sentence; None for any other folder."""
    if not (folder / TRAINING_RECORD).is_file():
        return None
    steps = [path.name.removeprefix("checkpoint-") for path in folder.glob("checkpoint-*")]
    last = max((int(step) for step in steps if step.isdecimal()), default=None)
    other = "" if last is None else f", or name `{folder / f'checkpoint-{last}'}`"
    return f"`{folder}` holds a training that is not finished; continue it with its own command{other}"


def record_run(
    run: BaseModel, folder: Path, inputs: Mapping[str, str | None], versions: Mapping[str, str] | None = None
) -> None:
    """Write the resolved run to `folder/run.yaml`, or, where one has begun, insist that it is the same run.

    `inputs` are fingerprints of what the run reads: a model trained anew in the same folder is another model.
    `versions` are those of the packages with which the run begins; it may go on with others.
    """
    if not insist_on_same_run(run, folder, inputs):
        values = {**run.model_dump(mode="json"), "inputs": dict(inputs), "versions": dict(versions or {})}
        save_text(dump_yaml(values), folder / TRAINING_RECORD)


def insist_on_same_run(run: BaseModel, folder: Path, inputs: Mapping[str, str | None] | None = None) -> bool:
    """Whether a run has begun in `folder`, which must then be this one. Raises `ConfigError`.

    Without `inputs`, what the run reads is not compared: it is not at hand where a run is only launched.
    """
    path = folder / TRAINING_RECORD
    has_begun = any(folder.glob("checkpoint-*")) or (folder / "config.json").exists()
    if not (path.exists() and has_begun):
        return False
    values = run.model_dump(mode="json")
    record = load_yaml(path)
    if inputs is None:
        record.pop("inputs", None)
    else:
        values["inputs"] = dict(inputs)
    there, here = record.get("stage"), values.get("stage")
    if there != here:
        raise ConfigError(f"`{folder}` holds a run of `r1sgg {there}`, and this is `r1sgg {here}`; give a new --out")
    changed = differences(record, values, ignored=CHANGES_NOTHING)
    if changed:
        more = f"; and {len(changed) - _MOST_SAID} more: `{path}` has all" if len(changed) > _MOST_SAID else ""
        raise ConfigError(
            f"`{folder}` holds another run ({'; '.join(changed[:_MOST_SAID])}{more}); give a new --out, or the same "
            "options to continue"
        )
    return True


def save_launch(run: SFTRun | GRPORun, folder: Path, preset: str) -> None:
    """Write `folder/launch.yaml`: the run, and beside it the preset's name for those who read it."""
    save_text(dump_yaml({"preset": preset, "run": run.model_dump(mode="json")}), folder / LAUNCH_FILE)


def load_launch(folder: Path) -> SFTRun | GRPORun:
    """The run that `folder/launch.yaml` holds. Raises `ConfigError`."""
    path = folder / LAUNCH_FILE
    if not path.is_file():
        raise ConfigError(f"no `{LAUNCH_FILE}` in `{folder}`; `r1sgg sft` or `r1sgg grpo` writes it when it launches")
    values = load_yaml(path).get("run")
    kinds: Mapping[Any, type[SFTRun] | type[GRPORun]] = {"sft": SFTRun, "grpo": GRPORun}
    if not isinstance(values, Mapping) or values.get("stage") not in kinds:
        raise ConfigError(f"`{path}` holds no run whose `stage` is sft or grpo; launch it again")
    return validated(kinds[values["stage"]], values)


def at_server(run: SFTRun | GRPORun, environ: Mapping[str, str]) -> SFTRun | GRPORun:
    """The run with the address of its rollout server, which a job knows only once its nodes are chosen."""
    if run.stage != "grpo" or run.rollouts.engine != "server" or run.rollouts.server_url:
        return run
    rollouts = run.rollouts.model_copy(update={"server_url": environ.get(SERVER_URL)})
    return run.model_copy(update={"rollouts": rollouts})
