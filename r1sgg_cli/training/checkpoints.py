"""Checkpoints that resume right: the last complete one is found and really loaded; a full disk is one line."""

import errno
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import PeftModel
from safetensors import SafetensorError

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import ConfigError, OutputError
from r1sgg_cli.files import follow_umask
from r1sgg_cli.training.processes import wait_for_all

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOTHING_LEFT = 1 << 20  # bytes; less than any file of a checkpoint that is worth writing


def last_complete_checkpoint(run_folder: Path) -> tuple[Path | None, list[Path]]:
    """The newest complete checkpoint of a run, or None, and the newer half-written ones that were passed over.

    `trainer_state.json` is written last, after the files of all processes (see `ResumesRight`), so a checkpoint is
    complete when that file is there and whole.
    """
    numbered = [
        (int(m[1]), path)
        for path in run_folder.glob("checkpoint-*")
        if (m := re.fullmatch(r"checkpoint-(\d+)", path.name))
    ]
    passed_over = []
    for step, path in sorted(numbered, reverse=True):
        try:
            state = json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            passed_over.append(path)
            continue
        if state.get("global_step") == step:
            return path, passed_over
        passed_over.append(path)
    return None, passed_over


@contextmanager
def interruption_says_what_is_kept(run_folder: Path) -> Iterator[None]:
    """Note on Ctrl-C and its like where the same command will begin."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        checkpoint, _ = last_complete_checkpoint(run_folder)
        interrupt.add_note(
            f"the same command continues from step {checkpoint.name.removeprefix('checkpoint-')}"
            if checkpoint
            else "there is no checkpoint yet: the same command begins again (`--set checkpoint_every=` saves sooner)"
        )
        raise


def is_last_step(checkpoint: Path) -> bool:
    """Whether the run's training ended with this checkpoint."""
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return bool(state["global_step"] >= state["max_steps"])


def insist_on_as_many(checkpoint: Path, run: SFTRun | GRPORun) -> None:
    """Make sure that a checkpoint of DeepSpeed has a part for each process, and no more. Raises `ConfigError`."""
    num_written = len(list(checkpoint.glob("rng_state*.pth")))
    if run.sharding.startswith("zero") and num_written != run.world_size:
        raise ConfigError(
            f"`{checkpoint}` was written by {num_written} processes, and DeepSpeed goes on with as many only, not "
            f"with {run.world_size}; use a preset of that size, or a new --out"
        )


@contextmanager
def full_disk_is_said(folder: Path) -> Iterator[None]:
    """Turn a write that found the disk full into one line; every other error passes."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        # torch and safetensors keep no errno; whether the disk is full is then asked of the disk.
        full = error.errno in _FULL if isinstance(error, OSError) else shutil.disk_usage(folder).free < _NOTHING_LEFT
        if not full:
            raise
        raise OutputError(
            f"no space left on the disk of `{folder}` while saving; complete checkpoints stand: "
            "free some space and run the same command again"
        ) from error


class ResumesRight:
    """Mixed into TRL's trainers, before them."""

    model: Any
    args: Any
    state: Any
    is_deepspeed_enabled: bool
    is_fsdp_enabled: bool

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load a checkpoint's weights, strictly.

        transformers 5.17 saves Qwen2-VL under the hub's key names and resumes with `load_state_dict(strict=False)` as
        it stands: every key misses and training goes on from the base weights (transformers#40187, #43701, #48805).
        Adapters and sharded models take other paths, which are right.
        """
        if isinstance(self.model, PeftModel) or self.is_deepspeed_enabled or self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
            return
        saved = type(self.model).from_pretrained(resume_from_checkpoint, dtype=self.model.dtype)
        self.model.load_state_dict(saved.state_dict(), strict=True)

    def create_model_card(self, *given: Any, **named: Any) -> None:
        """None of TRL's: the finished model gets one of its own (see `model_card`)."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with full_disk_is_said(Path(self.args.output_dir)):
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
            if self.args.should_save:
                follow_umask(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}")

    def _save_rng_state(self, output_dir: str) -> None:
        """The last of a checkpoint's files that every process writes; `trainer_state.json` comes after all of them."""
        super()._save_rng_state(output_dir)  # type: ignore[misc]
        wait_for_all()
