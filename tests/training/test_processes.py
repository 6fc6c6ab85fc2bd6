"""Two processes under torchrun are one training: its steps, its voice, its end."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.data.rollouts import lines_of_steps, parse_rollout
from r1sgg_cli.models.asking import load_asking
from r1sgg_cli.training.checkpoints import last_complete_checkpoint
from r1sgg_cli.training.grpo import train_grpo
from r1sgg_cli.training.sft import train_sft
from tests.training.token_reward import ROW_REWARD, TOKEN_REWARD
from tests.training.torchrun import (
    R1SGG,
    R1SGG_WITH_DEEPSPEED,
    R1SGG_WITH_FSDP,
    last_step,
    launched,
    logged,
    run_of,
    said,
    torchrun,
    wait_until,
    worker_of,
)

pytestmark = pytest.mark.slow

NEEDS_DEEPSPEED = pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs `uv sync --extra deepspeed`")


WHOLE, FROZEN = (), ("freeze_vision=true",)


@pytest.fixture(scope="module")
def of_one_process(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[tuple[str, ...]], Path]:
    """A function from what is frozen to what one process makes of the run."""

    @cache
    def trained(frozen: tuple[str, ...]) -> Path:
        out = tmp_path_factory.mktemp("one") / "run"
        train_sft(run_of(SFTRun, tiny_checkpoint("qwen2_vl"), ten_scenes, out, *frozen, world_size=1))
        return out

    return trained


@pytest.mark.parametrize(
    ("sharding", "micro_batch", "module", "frozen"),
    [
        pytest.param("ddp", 1, R1SGG, WHOLE, id="ddp"),
        pytest.param("zero3", 2, R1SGG_WITH_DEEPSPEED, WHOLE, id="zero3", marks=NEEDS_DEEPSPEED),
        pytest.param("fsdp2", 2, R1SGG_WITH_FSDP, FROZEN, id="fsdp2, image encoder frozen"),
    ],
)
def test_two_processes_learn_what_one_does_also_when_they_are_stopped_in_between(
    sharding: str,
    micro_batch: int,
    module: str,
    frozen: tuple[str, ...],
    of_one_process: Callable[[tuple[str, ...]], Path],
    tiny_checkpoint: Callable[[str], Path],
    ten_scenes: Path,
    tmp_path: Path,
) -> None:
    """Over two epochs, each of whose last step has fewer rows than the others."""
    stop_file = tmp_path / "stop"
    options: dict[str, Any] = {"sharding": sharding, "micro_batch": micro_batch, "stop_file": stop_file}
    run = run_of(SFTRun, tiny_checkpoint("qwen2_vl"), ten_scenes, tmp_path / "run", *frozen, **options)
    alone = of_one_process(frozen)
    stop_file.touch()
    code, stderr = torchrun(run, module=module)
    assert code == 0, stderr
    assert stderr.count("stopped at step 1 of 6 as asked; the same command continues") == 1
    assert last_complete_checkpoint(run.out) == (run.out / "checkpoint-1", [])
    assert load_asking(str(run.out)) is None
    stop_file.unlink()
    code, stderr = torchrun(run, module=module)
    assert code == 0, stderr
    for line in ("answers: ", "sft step 6 of 6", "finished: "):
        assert stderr.count(line) == 1  # one of the two speaks
    for row, other in zip(*(logged(out, "loss", "grad_norm") for out in (run.out, alone)), strict=True):
        assert row == pytest.approx(other, rel=1e-4)
    weights, others = (AutoModelForImageTextToText.from_pretrained(out) for out in (run.out, alone))
    for (name, weight), other in zip(weights.state_dict().items(), others.state_dict().values(), strict=True):
        assert torch.allclose(weight, other, atol=1e-4), name
    assert AutoProcessor.from_pretrained(run.out).chat_template
    assert load_asking(str(run.out)) == load_asking(str(alone))


@NEEDS_DEEPSPEED
def test_bf16_is_in_force_under_deepspeed(
    of_one_process: Callable[[tuple[str, ...]], Path],
    tiny_checkpoint: Callable[[str], Path],
    ten_scenes: Path,
    tmp_path: Path,
) -> None:
    """The Trainer's own option alone trains in float32 without a word; the finished model has the engine's weights.

    Also where some of them are frozen.
    """
    options: dict[str, Any] = {"sharding": "zero2", "precision": "bf16", "micro_batch": 1}
    run = run_of(SFTRun, tiny_checkpoint("qwen2_vl"), ten_scenes, tmp_path, *FROZEN, **options)
    code, stderr = torchrun(run, module=R1SGG_WITH_DEEPSPEED)
    assert code == 0, stderr
    assert AutoModelForImageTextToText.from_pretrained(tmp_path, dtype="auto").dtype == torch.bfloat16
    for row, other in zip(*(logged(out, "loss") for out in (tmp_path, of_one_process(FROZEN))), strict=True):
        assert row == pytest.approx(other, rel=5e-3)


def test_grpo_goes_on_after_a_worker_is_killed_as_if_it_had_not_been(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    """And asks in each step for the rows that one process would ask for. Its rewards are functions of a user's own."""
    rewards = f"rewards={{{TOKEN_REWARD}: 1, {ROW_REWARD}: 0.001}}"
    model = tiny_checkpoint("qwen2_vl")
    alone = run_of(GRPORun, model, ten_scenes, tmp_path / "alone", rewards, world_size=1)
    train_grpo(alone)
    whole, killed = (
        run_of(GRPORun, model, ten_scenes, tmp_path / name, rewards, "show_every=1") for name in ("whole", "killed")
    )
    code, stderr = torchrun(whole)
    assert code == 0, stderr
    with launched(killed, "--max-restarts", "1") as process:
        wait_until(lambda: last_step(killed.out) >= 3, process)
        worker_of(process, 1).kill()
        assert process.wait(timeout=900) == 0, said(killed)
    assert "continuing from" in said(killed)
    names = ("loss", "grad_norm", f"rewards/{TOKEN_REWARD}/mean")
    for row, other in zip(logged(killed.out, *names), logged(whole.out, *names), strict=True):
        assert row == pytest.approx(other, abs=1e-6)
    asked = f"rewards/{ROW_REWARD}/mean"
    assert logged(whole.out, asked) == [pytest.approx(row) for row in logged(alone.out, asked)]
    for run in (whole, killed):
        check_kept(run.out)
    assert "Step 6: image" in (killed.out / "run.html").read_text(encoding="utf-8")


def check_kept(folder: Path) -> None:
    """Each step's group of the first process is kept once, with the rewards of its own row."""
    rollouts = [parse_rollout(line, folder) for line in lines_of_steps(folder, 6)]
    assert [rollout.step for rollout in rollouts] == [6, 5, 4, 3, 2, 1]
    for rollout in rollouts:
        assert len(rollout.answers) == 4
        own_row = pytest.approx(float(rollout.truth.boxes_xyxy.sum()), rel=1e-5)
        assert [answer.rewards[ROW_REWARD] for answer in rollout.answers] == [own_row] * 4


def test_a_worker_that_waits_for_another_in_vain_says_where_and_ends(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    model = tiny_checkpoint("qwen2_vl")
    run = run_of(SFTRun, model, ten_scenes, tmp_path, "max_steps=100000", step_timeout_minutes=0.25)
    with launched(run) as process:
        wait_until(lambda: last_step(tmp_path) >= 1, process)
        other = worker_of(process, 1)
        other.suspend()
        wait_until(lambda: "Thread 0x" in said(run) and "training/sft.py" in said(run), process)
        other.kill()  # torchrun would wait half a minute for a process that cannot hear it
        assert process.wait(timeout=400) == 1
    assert said(run).count("error: rank 0 on ") == 1
    assert "hangs: no step ended for 0.25 minutes (`--set preset.step_timeout_minutes=`) since step " in said(run)
    assert "the same command continues from the last complete checkpoint" in said(run)


@pytest.mark.parametrize(
    ("options", "foreign", "message"),
    [
        pytest.param({"world_size": 1}, False, "the run is of 1 process and 2 were started", id="met by all"),
        pytest.param({}, True, "holds something else; name a new or empty folder", id="met by the first alone"),
        pytest.param(
            {"sharding": "fsdp2"},
            False,
            "would train with `sharding: ddp` in float32 on 2",
            id="FSDP on CPUs",
        ),
    ],
)
def test_a_mistake_is_said_once_and_ends_all(
    options: dict[str, Any],
    foreign: bool,
    message: str,
    tiny_checkpoint: Callable[[str], Path],
    ten_scenes: Path,
    tmp_path: Path,
) -> None:
    run = run_of(SFTRun, tiny_checkpoint("qwen2_vl"), ten_scenes, tmp_path, **options)
    if foreign:
        (tmp_path / "thesis.tex").touch()
    code, stderr = torchrun(run)
    assert code == 1
    errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, stderr
    assert message in errors[0]
    assert "[rank" not in stderr  # torch marks a worker's traceback so
    assert message in stderr.partition("Root Cause")[2]
