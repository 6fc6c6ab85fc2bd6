"""Whole batch scripts, and that no value of a user's is anything but a value in them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.errors import LaunchError
from r1sgg_cli.launch.sbatch import render_sbatch
from tests.launch.jobs import EVERYTHING, GOLDEN, JOBS, MODEL, container, make_job
from tests.launch.stand_ins import Cluster, make_cluster, once_serving

PWNED = "x; touch pwned"


@pytest.mark.parametrize("name", JOBS)
def test_the_script_is_the_one_that_is_kept(name: str) -> None:
    assert render_sbatch(JOBS[name]) == (GOLDEN / f"{name}.sh").read_text(encoding="utf-8")


def test_every_script_that_is_kept_has_its_job() -> None:
    assert {path.stem for path in GOLDEN.glob("*.sh")} == set(JOBS)


@pytest.mark.parametrize("name", JOBS)
def test_the_script_is_sound_shell(name: str) -> None:
    script = GOLDEN / f"{name}.sh"
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck")
    # SC2016: a value that looks like an expansion is none. SC2317: what `srun` calls looks as if nobody did.
    done = subprocess.run(["shellcheck", "--exclude=SC2016,SC2317", script], capture_output=True, text=True)
    assert done.stdout == ""


def test_directives_stand_before_the_first_command_or_slurm_would_not_read_them() -> None:
    lines = render_sbatch(JOBS["everything"]).splitlines()
    directives = [line.startswith("#SBATCH ") for line in lines]
    assert all(directives[1 : 1 + sum(directives)])


@pytest.mark.parametrize(
    ("kind", "overrides", "memory"),
    [
        ("torchrun", {}, "0"),
        ("torchrun", {"slurm": {"memory_gib": 400}}, "400G"),
        ("array", {"slurm": {"memory_gib": 400}}, "100G"),
        ("single", {"host_memory_gib": 250}, "62G"),
    ],
    ids=["the whole node", "of the node", "one GPU's share", "of what the node has"],
)
def test_memory_is_asked_for(kind: Any, overrides: dict[str, Any], memory: str) -> None:
    assert f"#SBATCH --mem={memory}\n" in render_sbatch(make_job(kind, "a100-4x", overrides))


@pytest.mark.parametrize(
    ("kind", "signal"), [("torchrun", "B:USR1@900"), ("array", "B:USR1@60"), ("single", "B:USR1@60")]
)
def test_only_a_training_needs_time_to_stop(kind: Any, signal: str) -> None:
    assert f"#SBATCH --signal={signal}\n" in render_sbatch(make_job(kind, "a100-4x", EVERYTHING))


@pytest.mark.parametrize(
    ("fields", "overrides", "message"),
    [
        ({"name": "a\n#SBATCH --wrap=id"}, {}, "without line breaks"),
        ({}, {"slurm": {"partition": "a\ntouch pwned"}}, "without line breaks"),
        ({}, {"environment": {"variables": {"A": "b\x00"}}}, "without line breaks"),
        ({"folder": Path("/runs/a\\b")}, {}, "backslash"),
        ({"folder": Path("/runs/a:b")}, container("pyxis"), "without `,` and `:`"),
        ({"work_dir": Path("/home/a,b")}, container("apptainer"), "without `,` and `:`"),
    ],
    ids=["name", "partition", "variable", "log", "pyxis", "apptainer"],
)
def test_what_no_script_can_hold_is_refused_in_one_line(
    fields: dict[str, Any], overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(LaunchError, match=message) as caught:
        render_sbatch(make_job("torchrun", "a100-4x", overrides, **fields))
    assert "\n" not in str(caught.value)


def strange_folders(root: Path, word: str) -> tuple[Path, Path]:
    """A run's folder and a working folder called `word`."""
    folders = (root / f"runs {word}", root / f"work {word}")
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return folders


@pytest.mark.parametrize("word", [PWNED, 'it\'s "q"', "$(touch pwned)`touch pwned`", "a  *  b", "-n", "é 木 100%"])
def test_a_strange_name_is_only_a_strange_name(cluster: Cluster, tmp_path: Path, word: str) -> None:
    folder, work_dir = strange_folders(tmp_path, word)
    servers = {"rollouts": "servers", "servers": {"tensor_parallel": 2}}
    strange = {"slurm": {"partition": word}, "environment": {"variables": {"WORD": word}}}
    job = make_job(
        "torchrun",
        "a100-4x",
        {**servers, **strange},
        name=word,
        command=("worker", word),
        folder=folder,
        work_dir=work_dir,
        bin_dir=cluster.bin_dir,
        **{**MODEL, "model": word},
    )
    done = cluster.run(job, {"vllm": "exec /bin/sleep 20", "torchrun": once_serving(1)})
    assert (done.returncode, done.stderr) == (0, "")
    training, serving = cluster.only_call("torchrun"), cluster.only_call("vllm")
    assert (training.argv[-1], training.cwd, training.environ["WORD"]) == (word, str(work_dir), word)
    assert serving.argv[1] == word
    assert not list(tmp_path.rglob("pwned"))


PRINTABLE = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1).filter(str.isprintable)


@settings(max_examples=15, deadline=None)
@given(word=PRINTABLE)
def test_any_printable_word_reaches_the_program_unchanged(tmp_path_factory: pytest.TempPathFactory, word: str) -> None:
    root = tmp_path_factory.mktemp("word")
    cluster = make_cluster(root / "stand_ins")
    folder, work_dir = strange_folders(root, "")
    job = make_job(
        "array",
        "a100-4x",
        {"slurm": {"account": word}, "environment": {"modules": [word], "variables": {"WORD": word}}},
        name=word,
        command=("infer", word),
        folder=folder,
        work_dir=work_dir,
        bin_dir=cluster.bin_dir,
    )
    done = cluster.run(job, {"r1sgg": "exit 3"}, SLURM_ARRAY_TASK_ID="0")
    call = cluster.only_call("r1sgg")
    assert call.argv == ["infer", word]
    assert call.environ["WORD"] == word
    assert ["load", word] in [call.argv for call in cluster.calls("module")]
    assert done.stderr.startswith(f"r1sgg: {word} failed with code 3: ")


def test_a_secret_of_the_submitting_shell_is_in_no_script_and_no_log(cluster: Cluster, tmp_path: Path) -> None:
    folder, work_dir = strange_folders(tmp_path, "")
    job = make_job("torchrun", "a100-4x", folder=folder, work_dir=work_dir, bin_dir=cluster.bin_dir)
    done = cluster.run(job, {"torchrun": "exit 1"}, HF_TOKEN="hf_secret")
    assert cluster.only_call("torchrun").environ["HF_TOKEN"] == "hf_secret"
    assert "hf_secret" not in json.dumps([render_sbatch(job), done.stdout, done.stderr])
