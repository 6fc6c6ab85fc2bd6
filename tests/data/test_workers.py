"""Worker processes: they end with their parent, and what they finished is kept."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from r1sgg_cli.data.annotations import AnnotatedImage
from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.readers.synthetic import open_synthetic
from r1sgg_cli.errors import R1SGGError
from tests.data.annotated import annotated
from tests.data.readers.layouts import random_samples, write_images, write_jsonl
from tests.data.sources import numbered, source_of

PROCESS = """
import sys
from pathlib import Path
from r1sgg_cli.data import cutter
cutter.CHUNK_SIZE = 8
from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.sources import open_source
if __name__ == "__main__":
    source = open_source(sys.argv[1], None, ReadOptions())
    prepare_dataset(source, Path(sys.argv[2]), num_workers=2)
"""


@pytest.fixture
def killable(tmp_path: Path) -> Callable[[Path], subprocess.Popen[bytes]]:
    """Starts the preparing of 1,600 own images by two worker processes."""
    script = tmp_path / "run.py"
    script.write_text(PROCESS)
    folder = tmp_path / "own"
    samples = [sample for seed in range(200) for sample in random_samples(seed)]
    samples = [replace(sample, image_id=number) for number, sample in enumerate(samples)]
    write_images(folder, samples)
    write_jsonl(folder, samples)

    def start(out: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(script), str(folder), str(out)])

    return start


@pytest.mark.slow
def test_kill_9_loses_no_finished_chunk_and_takes_the_workers_along(
    tmp_path: Path, killable: Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    out, work = tmp_path / "data", tmp_path / ".data.partial"
    process = killable(out)
    deadline = time.monotonic() + 120
    while len(list(work.glob("*.json"))) < 10:
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline, "did not get going"
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert len(children) >= 2
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.01)
    finished = {path.with_suffix(".arrow").stat().st_ino for path in work.glob("train-*.json")}
    assert killable(out).wait() == 0
    kept = {path.stat().st_ino for path in (out / "train").glob("*.arrow")}
    assert finished <= kept
    assert killable(tmp_path / "whole").wait() == 0
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*") if path.is_file()
    )
    assert all((out / file).read_bytes() == (tmp_path / "whole" / file).read_bytes() for file in files)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_line(tmp_path: Path) -> None:
    def read() -> Iterable[AnnotatedImage]:
        yield from numbered(600)
        for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)
        yield from (annotated(image_id=f"later {number}") for number in range(600))

    source = source_of(read=read, num_images={"train": 1200})
    with pytest.raises(R1SGGError, match=r"a worker process was killed.*--workers"):
        prepare_dataset(source, tmp_path / "data", num_workers=2)


def test_workers_and_one_process_give_the_same_rows(tmp_path: Path) -> None:
    source = open_synthetic(600, 10, 0, 0.5)
    for name, num_workers in (("one", 0), ("two", 2)):
        prepare_dataset(source, tmp_path / name, num_workers=num_workers)
    one, two = ((tmp_path / name / "train").glob("*.arrow") for name in ("one", "two"))
    assert [path.read_bytes() for path in sorted(one)] == [path.read_bytes() for path in sorted(two)]
