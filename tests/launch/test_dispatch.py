"""Which jobs a folder has: the record, a second job, and a chain that is queued whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import pytest

from r1sgg_cli.errors import LaunchError, OutputError
from r1sgg_cli.launch.dispatch import (
    Submitted,
    insist_on_no_job,
    insist_on_own_run,
    load_submitted,
    record_submitted,
    run_in_allocation,
    submit_after,
    submit_job,
)
from r1sgg_cli.launch.job import Job
from tests.launch.jobs import make_job
from tests.launch.programs import put_script, put_slurm


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file to which the stand-ins write how they were called; every job is running."""
    path = tmp_path / "calls"
    put_slurm(tmp_path / "bin", path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return path


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Job]:
    """A function that makes a job of that name in a folder of that name."""
    return lambda name: make_job("single", "cpu", name=name, folder=tmp_path / name, work_dir=tmp_path)


def test_a_job_is_recorded_in_its_folder(calls: Path, make: Callable[[str], Job]) -> None:
    submitted = submit_job(make("grpo"))
    assert (submitted.job_id, submitted.name) == (1, "grpo")
    folder = make("grpo").folder
    assert load_submitted(folder) == [submitted]
    assert calls.read_text(encoding="utf-8") == f"sbatch --parsable {folder / 'job.sh'}\n"


def test_jobs_are_added_to_the_record_the_last_one_last(tmp_path: Path) -> None:
    first, second = Submitted(1, "sft", 0.5), Submitted(2, "grpo", 1.5)
    assert load_submitted(tmp_path) == []
    record_submitted(tmp_path, [first])
    record_submitted(tmp_path, [second])
    assert load_submitted(tmp_path) == [first, second]


@pytest.mark.parametrize("content", ["[{", '[{"job": 1}]', "[1]", "7", "\x00"])
def test_a_broken_record_is_one_line_and_never_taken_for_an_empty_one(content: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.json").write_text(content, encoding="utf-8")
    with pytest.raises(LaunchError, match=r"jobs.json` is broken: .*; delete it once none of its jobs is in the queue"):
        load_submitted(tmp_path)


def test_a_second_job_for_one_folder_is_refused(
    calls: Path, make: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make("grpo")
    submit_job(job)
    script = (job.folder / "job.sh").read_bytes()
    with pytest.raises(LaunchError, match=r"job 1 \(grpo\) of .* is running already; `r1sgg status .*cancel .* ends"):
        submit_job(job)
    assert (job.folder / "job.sh").read_bytes() == script
    assert len(calls.read_text(encoding="utf-8").splitlines()) == 1
    monkeypatch.setenv("STATE", "FAILED")
    submit_job(job)
    assert [one.job_id for one in load_submitted(job.folder)] == [1, 2]


def test_a_folder_without_jobs_asks_no_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    insist_on_no_job(tmp_path)


def test_each_job_of_a_chain_waits_for_the_one_before_it(
    calls: Path, make: Callable[[str], Job], tmp_path: Path
) -> None:
    jobs = [make("sft"), make("grpo"), make("infer")]
    assert [one.job_id for one in submit_after(jobs, tmp_path / "e")] == [1, 2, 3]
    assert [one.name for one in load_submitted(tmp_path / "e")] == ["sft", "grpo", "infer"]
    assert [[one.job_id for one in load_submitted(job.folder)] for job in jobs] == [[1], [2], [3]]
    waits = [line.partition("--dependency=")[2].split(" ")[0] for line in calls.read_text("utf-8").splitlines()]
    assert waits == ["", "afterok:1", "afterok:2"]


def test_where_one_job_of_a_chain_is_refused_none_stays_queued(
    calls: Path, make: Callable[[str], Job], tmp_path: Path
) -> None:
    with pytest.raises(LaunchError, match="`sbatch` refused: invalid account"):
        submit_after([make("sft"), make("grpo"), make("refused"), make("eval")], tmp_path / "e")
    lines = calls.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("scancel")] == ["scancel 1", "scancel 2"]
    assert not any("eval" in line for line in lines)


def test_in_an_allocation_the_script_itself_runs(
    calls: Path, make: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    put_script(tmp_path / "bin", "srun", f"echo srun >>{calls}; exit 3")
    assert run_in_allocation(make("grpo")) == 3
    assert calls.read_text(encoding="utf-8") == "srun\n"


def test_a_folder_of_somebody_elses_is_refused(tmp_path: Path) -> None:
    insist_on_own_run(tmp_path / "new")
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(OutputError, match="holds something else"):
        insist_on_own_run(tmp_path)
