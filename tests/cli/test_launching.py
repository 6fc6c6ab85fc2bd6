"""Launching as it is typed: `--dry-run` shows all and touches nothing, a mistake is one line and writes nothing.

Each command runs in a process of its own, in an empty folder, with a cluster's commands on its PATH.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.cli.planning import plan_run, what_is_missing
from r1sgg_cli.config.layers import SHIPPED
from r1sgg_cli.config.presets import load_preset
from r1sgg_cli.config.record import load_launch, record_run
from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.launch.config_json import load_config
from r1sgg_cli.launch.dispatch import load_submitted
from tests.launch.programs import put_program, put_slurm

MODEL = "Qwen/Qwen2-VL-2B-Instruct"
GRPO = ("grpo", "--model", MODEL, "--preset", "a100-16x")
NEVER = ("torch", "transformers", "trl", "vllm", "numpy", "datasets", "scipy", "PIL")
"""What planning does not import."""
LISTED = (
    "import sys\n"
    "from r1sgg_cli.__main__ import main\n"
    "try: main()\n"
    f"finally: print([name for name in {NEVER!r} if name in sys.modules], file=sys.stderr)"
)


@dataclass(frozen=True)
class Done:
    """What a command printed and left behind."""

    code: int
    stdout: str
    stderr: str
    files: list[str]
    """All that is in its folder afterwards."""


Command = Callable[..., Done]


@pytest.fixture
def r1sgg(tmp_path: Path) -> Command:
    """A function that runs a command in the folder `work`, on a login node unless `programs` is another folder."""
    put_slurm(tmp_path / "login", tmp_path / "calls")
    (tmp_path / "alone").mkdir()
    work = tmp_path / "project"
    work.mkdir()

    def run(*argv: str | Path, programs: str = "login", code: str | None = None) -> Done:
        path = f"{tmp_path / programs}:{tmp_path / 'coreutils'}"
        own = {"PATH": path, "HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "COLUMNS": "80"}
        start = ["-c", code] if code else ["-m", "r1sgg_cli"]
        command, environ = [sys.executable, *start, *map(str, argv)], {**os.environ, **own}
        done = subprocess.run(command, cwd=work, env=environ, capture_output=True, text=True, check=False)
        return Done(done.returncode, done.stdout, done.stderr, listing(work))

    (tmp_path / "coreutils").mkdir()
    for name in ("bash", "grep", "sh"):
        (tmp_path / "coreutils" / name).symlink_to(f"/bin/{name}")
    return run


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def flat(text: str) -> str:
    """A table's text, with single spaces."""
    return " ".join(text.replace("│", " ").split())


# ---- --dry-run


def test_a_dry_run_shows_plan_and_script_and_touches_nothing(r1sgg: Command) -> None:
    done = r1sgg(*GRPO, "--dry-run")
    assert (done.code, done.stderr, done.files) == (0, "", [])
    plan, _, script = done.stdout.partition("#!/bin/bash\n")
    for said in (
        "a100-16x: 4 nodes × 4 A100 80 GB",
        "16 processes, whole model on each (DDP); all weights, bf16",
        "32 prompts × 8 answers = 256 a step = 16 processes × 8 at once × 2 accumulated",
        "of 79 GiB per GPU",
        "1,757 (56,224 images × 1 epoch)",
        "about 12.0 h (the published 12 h of 2B on 16 A100",
        "run folder runs/grpo",
    ):
        assert said in flat(plan)
    assert "#SBATCH --nodes=4\n" in script
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_dry_run_refuses_a_reward_that_there_is_not(r1sgg: Command) -> None:
    done = r1sgg(*GRPO, "--dry-run", "--set", "rewards={edge_f1_rewrd: 1}")
    assert done.code == 1
    assert "no reward `edge_f1_rewrd`; did you mean `edge_f1_reward`?" in done.stderr


def test_a_plan_says_what_evaluation_costs_and_which_model_is_kept(r1sgg: Command) -> None:
    chosen = ("--set", "evaluation.best_by=mean_recall")
    plan = flat(r1sgg(*GRPO, *chosen, "--dry-run").stdout.partition("└")[0])
    assert (
        "evaluation 200 images of `JosephZ/vg150_val_sgg_prompt` every 100 steps: 19 times, 3,800 answers, by vLLM; "
        "the finished model is the best by mean_recall. Warning: `evaluation.best_by` chooses the finished model by "
        "`JosephZ/vg150_val_sgg_prompt`, on which its numbers will be too good"
    ) in plan
    others = r1sgg(*GRPO, *chosen, "--set", "evaluation.split=val", "--dataset", "own/set", "--dry-run")
    assert "Warning" not in others.stdout
    assert "evaluation" not in r1sgg(*GRPO, "--dry-run").stdout


def test_the_table_of_a_plan_fits_a_terminal(r1sgg: Command) -> None:
    plan = r1sgg(*GRPO, "--dry-run").stdout.partition("└")[0]
    assert max(map(len, plan.splitlines())) <= 80


@pytest.mark.parametrize(
    "argv",
    [
        (*GRPO, "--dry-run"),
        ("sft", "--model", MODEL, "--preset", "a100-4x", "--dry-run"),
        ("infer", MODEL, "answers", "--preset", "a100-4x", "--dry-run"),
        ("submit", "--slurm", "--dry-run"),
        ("submit", "--local", "--dry-run"),
        ("presets", "a100-4x"),
        ("status",),
        (*GRPO, "--dry-run", "--set", "trainer.scale_reward=none"),
    ],
    ids=["grpo", "sft", "infer", "submit --slurm", "submit --local", "presets", "status", "an error"],
)
def test_planning_imports_nothing_heavy(argv: Sequence[str], r1sgg: Command) -> None:
    done = r1sgg(*argv, code=LISTED)
    assert done.stderr.splitlines()[-1] == "[]"
    assert done.files == []


def test_a_preset_of_another_value_lands_in_the_script(r1sgg: Command) -> None:
    done = r1sgg(*GRPO, "--dry-run", "--set", "preset.slurm.account=x", "--set", "preset.slurm.time_limit=01:00:00")
    assert "#SBATCH --account=x\n" in done.stdout
    assert "#SBATCH --time=01:00:00\n" in done.stdout


def test_a_model_with_a_strange_name_is_only_a_strange_name(r1sgg: Command, tmp_path: Path) -> None:
    loaded = load_config(MODEL, fetch=False)
    assert loaded is not None
    folder = tmp_path / "project" / "x; touch pwned"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(loaded[0]), encoding="utf-8")
    done = r1sgg("infer", folder.name, "$(touch pwned)", "--preset", "a100-4x", "--dry-run")
    assert done.code == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "pwned" in line]
    assert lines
    for line in lines:
        unquoted = line.replace("'x; touch pwned'", "").replace("$(touch pwned)'", "'")
        assert "pwned" not in unquoted or line.startswith('#SBATCH --output="')
    done = r1sgg(*GRPO[:2], folder.name, "--preset", "rtx3090-8x", "--set", "preset.sharding=zero3", "--dry-run")
    assert done.code == 0, done.stderr
    script = done.stdout.partition("#!/bin/bash\n")[2]
    assert "'x; touch pwned'" in script  # what the rollout servers load
    assert "pwned" not in script.replace("'x; touch pwned'", "")


def test_torchrun_on_a_cpu_is_shown(r1sgg: Command) -> None:
    argv = ("sft", "--model", MODEL, "--preset", "cpu", "--set", "preset.processes_per_node=2")
    done = r1sgg(*argv, "--launcher", "torchrun", "--dry-run")
    assert (done.code, done.files) == (0, [])
    shown = next(line for line in done.stdout.splitlines() if line.startswith("it would run: "))
    out = Path("runs/sft")
    assert "torchrun --standalone --nproc-per-node 2 -m r1sgg_cli worker /" in shown
    assert shown.endswith(f"/project/{out}")
    assert r1sgg(*argv, "--dry-run", programs="alone").stdout.count("it would run: ") == 1


def test_what_cannot_start_here_is_shown_all_the_same(r1sgg: Command) -> None:
    for argv in (GRPO, ("infer", MODEL, "answers", "--preset", "a100-4x")):
        done = r1sgg(*argv, "--dry-run", programs="alone")
        assert (done.code, done.files) == (0, [])
        assert "here this would be refused: preset `a100-" in done.stdout
        assert "#!/bin/bash\n" in done.stdout


def test_without_a_preset_it_is_this_machine(r1sgg: Command, tiny_checkpoint: Callable[[str], Path]) -> None:
    done = r1sgg("sft", "--model", tiny_checkpoint("qwen2_vl"), "--dry-run")
    assert "hardware here: CPU" in flat(done.stdout)
    assert done.stdout.endswith("it would train in this process\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--preset", "a100-4x"), "plan: 4 workers, about 1,250 images each, on a100-4x"),
        (("--preset", "a100-4x", "--limit", "8"), "plan: 4 workers, about 2 images each, on a100-4x"),
        (("--preset", "a100-4x", "--limit", "9999"), "plan: 4 workers, about 1,250 images each, on a100-4x"),
        (("--launcher", "here"), "it would answer in this process"),
        ((), "it would answer in this process"),
    ],
    ids=["array", "limit", "a limit above the split", "one worker", "here"],
)
def test_inference_says_how_it_is_shared_out(argv: Sequence[str], said: str, r1sgg: Command) -> None:
    done = r1sgg("infer", MODEL, "answers", *argv, "--dry-run")
    assert (done.code, done.files) == (0, []), done.stderr
    assert said in done.stdout


# ---- mistakes


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--set", "learning_rat=1e-6"), "no option `learning_rat`; did you mean `learning_rate`?"),
        (("--set", "trainer.scale_reward=none"), "has no option `scale_reward`; did you mean `scale_rewards`?"),
        (("--set", "preset.slurm.acount=x"), "no option `preset.slurm.acount`; did you mean `preset.slurm.account`?"),
        (("--set", "preset.shardin=ddp"), "no option `preset.shardin`; did you mean `preset.sharding`?"),
        (("--preset", "a100-61x"), "no preset `a100-61x`; did you mean `a100-16x`?"),
        (("--recipe", "grpo-sof"), "no recipe `grpo-sof`; did you mean `grpo-soft`?"),
        (("--report-to", "wandb"), "`--report-to wandb`: `wandb` is not installed; `uv sync --extra wandb`"),
        (("--set", "preset.precision=fp9"), "preset.precision: "),
        (("--model", "./sft"), "no folder `./sft`; give a checkpoint's folder"),
        (("--set", "prompts_per_step=31"), "a step's 248 answers (31 prompts × 8) cannot be shared equally by the 16"),
        (("--set", "evaluation.split=train", "--dataset", "own/set"), "`train` of `own/set` is trained on, and so not"),
        (("--micro-batch", "5"), "`--micro-batch 5` does not divide the 16 answers"),
        (("--launcher", "torchrun"), "`--launcher torchrun`: preset `a100-16x` needs 4 nodes of 4 A100 80 GB"),
        (("--launcher", "allocation"), "`--launcher allocation`: this shell is in no Slurm allocation"),
        (
            ("--model", "Qwen/Qwen2-VL-7B-Instruct", "--preset", "rtx4090-8x", "--set", "preset.sharding=zero2"),
            "grpo of all weights of a 8.3B model needs at least",
        ),
    ],
    ids=[
        *("recipe field", "trainer option", "slurm field", "preset field", "preset", "recipe", "logger", "precision"),
        *("model", "shares", "held out", "micro-batch", "torchrun", "allocation", "memory"),
    ],
)
@pytest.mark.parametrize("dry", [True, False], ids=["dry", "for real"])
def test_a_mistake_is_one_line_before_anything_is_written(
    argv: Sequence[str], said: str, dry: bool, r1sgg: Command, tmp_path: Path
) -> None:
    done = r1sgg(*GRPO, *argv, *(["--dry-run"] if dry else []))
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert said in line
    assert (done.code, done.files) == (1, [])
    assert not (tmp_path / "calls").exists()


def test_what_does_not_fit_is_refused_with_the_numbers_and_what_does(r1sgg: Command) -> None:
    done = r1sgg("sft", "--model", MODEL, "--preset", "single-24gb", "--dry-run")
    assert done.code == 1
    assert "preset `single-24gb` has 23.5 GiB; train adapters (`--recipe sft-lora`) or use `--preset " in done.stderr
    assert "GiB on each GPU (ddp, micro-batch 1)" in done.stderr


def test_a_model_that_is_not_known_offline_says_how_to_know_it(r1sgg: Command) -> None:
    done = r1sgg("grpo", "--model", "Some/Model", "--preset", "a100-16x", "--dry-run")
    assert done.code == 1
    assert "nothing here says how large `Some/Model` is" in done.stderr
    assert "`hf download Some/Model config.json`" in done.stderr


def test_gpus_that_this_machine_lacks_are_one_line(r1sgg: Command) -> None:
    done = r1sgg("infer", MODEL, "answers", "--preset", "a100-4x", "--launcher", "here")
    assert (done.code, done.files) == (1, [])
    assert "`--launcher here`: preset `a100-4x` needs 4 A100 80 GB" in done.stderr
    assert done.stderr.count("\n") == 1


# ---- into the queue


def submitted_sft(tiny: Path, data: Path, *more: str) -> tuple[str | Path, ...]:
    """An SFT of the tiny model as a job of two processes."""
    argv = ("sft", "--model", tiny, "--dataset", data, "--recipe", "demo-sft", "--out", "run", "--preset", "cpu")
    return (*argv, "--launcher", "slurm", "--set", "preset.processes_per_node=2", *more)


def test_a_training_is_queued_with_all_that_its_workers_read(
    r1sgg: Command, tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    argv = submitted_sft(tiny_checkpoint("qwen2_vl"), ten_scenes)
    done = r1sgg(*argv)
    assert done.code == 0, done.stderr
    assert done.stderr.endswith("submitted as job 1; `r1sgg status run` follows it\n")
    assert done.files == ["run", "run/job.sh", "run/jobs.json", "run/launch.yaml", "run/logs"]
    assert [job.job_id for job in load_submitted(tmp_path / "project" / "run")] == [1]
    launch = tmp_path / "project" / "run" / "launch.yaml"
    text = launch.read_text(encoding="utf-8")
    assert "world_size: 2" in text
    assert f"stop_file: {tmp_path / 'project' / 'run' / 'stop'}" in text


def test_a_second_launch_leaves_what_the_queued_job_will_read(
    r1sgg: Command, tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    argv = submitted_sft(tiny_checkpoint("qwen2_vl"), ten_scenes)
    r1sgg(*argv)
    launch = tmp_path / "project" / "run" / "launch.yaml"
    text = launch.read_text(encoding="utf-8")
    done = r1sgg(*argv, "--set", "learning_rate=1")
    assert done.code == 1
    assert "job 1 (sft) of `run` is running already" in done.stderr
    assert launch.read_text(encoding="utf-8") == text


def test_another_run_than_the_folders_is_refused_before_it_is_queued(
    r1sgg: Command, tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    argv = submitted_sft(tiny_checkpoint("qwen2_vl"), ten_scenes)
    r1sgg(*argv)
    run = tmp_path / "project" / "run"
    record_run(load_launch(run), run, {})
    (run / "checkpoint-5").mkdir()
    (run / "jobs.json").unlink()
    done = r1sgg(*argv, "--set", "learning_rate=1")
    assert done.code == 1
    assert "`run` holds another run (recipe.learning_rate: " in done.stderr
    assert not (run / "jobs.json").exists()
    assert r1sgg(*argv).code == 0


def test_a_misspelt_reward_is_refused_before_it_is_queued(r1sgg: Command) -> None:
    done = r1sgg(*GRPO, "--set", "rewards={edge_rewrd: 1}")
    assert (done.code, done.files) == (1, [])
    assert done.stderr.startswith("error: no reward `edge_rewrd`; did you mean `edge_reward`? there are format_reward,")


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        ("{nobody:here: 1}", "error: reward `nobody:here`: no module `nobody` in `"),
        ("{weighted_recall_reward: 1}", "error: `JosephZ/vg150_train_sgg_prompt` has no `train_statistics.json`"),
    ],
    ids=["no module", "no statistics"],
)
def test_a_reward_that_lacks_something_is_refused_before_it_is_queued(
    rewards: str, message: str, r1sgg: Command
) -> None:
    done = r1sgg(*GRPO, "--set", f"rewards={rewards}")
    assert (done.code, done.files) == (1, [])
    assert message in done.stderr


def test_answers_are_queued_as_an_array_and_followed_by_status(
    r1sgg: Command, tiny_checkpoint: Callable[[str], Path], ten_scenes: Path
) -> None:
    argv = ("infer", tiny_checkpoint("qwen2_vl"), "answers", "--dataset", ten_scenes, "--preset", "a100-4x")
    done = r1sgg(*argv)
    assert done.stderr.endswith("submitted as job 1; `r1sgg status answers` follows it\n")
    assert done.files == ["answers", "answers/job.sh", "answers/jobs.json", "answers/logs"]
    status = r1sgg("status", "answers")
    assert "answers running 1" in flat(status.stdout), status.stderr


def test_a_folder_of_something_else_gets_no_job_script(
    r1sgg: Command, tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    thesis = tmp_path / "project" / "run"
    thesis.mkdir()
    (thesis / "thesis.tex").touch()
    tiny = tiny_checkpoint("qwen2_vl")
    infer = ("infer", tiny, "run", "--dataset", ten_scenes, "--preset", "a100-4x")
    for argv in (submitted_sft(tiny, ten_scenes), infer):
        done = r1sgg(*argv)
        assert (done.code, done.files) == (1, ["run", "run/thesis.tex"])
        assert "`run` holds something else" in done.stderr


def test_images_to_evaluate_on_that_are_not_there_are_said_before_a_job_waits(
    r1sgg: Command, tiny_checkpoint: Callable[[str], Path], ten_scenes: Path
) -> None:
    argv = submitted_sft(tiny_checkpoint("qwen2_vl"), ten_scenes)
    done = r1sgg(*argv, "--set", "evaluation.split=val")
    assert (done.code, done.files) == (1, [])
    assert done.stderr.splitlines()[-1] == f"error: `{ten_scenes}` has no split `val`; it has `train`, `test`"


def test_a_job_that_slurm_refuses_is_one_line_and_none_is_recorded(
    r1sgg: Command, tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    argv = submitted_sft(tiny_checkpoint("qwen2_vl"), ten_scenes)
    put_program(tmp_path / "login", "sbatch", error="sbatch: error: invalid account\n", code=1)
    done = r1sgg(*argv)
    assert done.code == 1
    assert done.stderr.splitlines()[-1] == (
        "error: `sbatch` refused: invalid account; mend the preset's `slurm` section"
    )
    assert "run/jobs.json" not in done.files


@pytest.mark.parametrize(
    ("recipe", "preset", "overrides", "package", "extra", "way_out"),
    [
        pytest.param(
            *("sft-qlora", "single-24gb", {}, "bitsandbytes", "qlora", "`--set lora.quantize=null`"), id="4 bits"
        ),
        pytest.param(
            *(None, "h100-8x", {"precision": "fp8"}, "torchao", "fp8", "`--set preset.precision=bf16`"), id="8 bits"
        ),
        pytest.param(
            *(None, "a100-4x", {"sharding": "zero3"}, "deepspeed", "deepspeed", "`--set preset.sharding=ddp`"),
            id="ZeRO-3",
        ),
    ],
)
def test_a_package_that_a_plan_needs_is_named_with_the_command(
    recipe: str | None,
    preset: str,
    overrides: dict[str, str],
    package: str,
    extra: str,
    way_out: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolved = load_preset(preset, [folder for folder in SHIPPED if folder.is_dir()], overrides)
    given: dict[str, Any] = {"model": MODEL, "dataset": "d", "out": Path("o")}
    plan = plan_run(SFTRun, recipe, (), resolved, micro_batch=None, fetch=False, **given)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (said,) = what_is_missing(plan)
    assert f"the plan needs `{package}`, which is not installed: `uv sync --extra {extra}`, or {way_out}" in said
