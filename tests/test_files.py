"""Whole files, folders with one writer, fingerprints."""

import errno
import fcntl
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from r1sgg_cli.errors import OutputError
from r1sgg_cli.files import (
    LOCK_FILE,
    folder_fingerprint,
    follow_umask,
    insist_on_own,
    insist_on_own_folder,
    is_locked,
    locked,
    replacing,
    save_text,
    unwritable,
    work_beside,
)
from tests.conftest import files_no_larger_than

HOLDER = """
import sys
from pathlib import Path
from r1sgg_cli.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("file/preds.json", "`file` is a file; name another place"),
        ("file/deeper/preds.json", "`file` is a file; name another place"),
        ("folder", "it is a folder; name a file"),
        (f"{'x' * 300}.json", "File name too long; name another place"),
    ],
    ids=["in a file", "deep in a file", "a folder", "too long a name"],
)
def test_why_a_place_cannot_be_written_decides_what_helps(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder").mkdir()
    with pytest.raises(OutputError) as refused:
        save_text("{}", Path(name))
    assert str(refused.value) == f"cannot write `{name}`: {said}"


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.ENOSPC, "free some space or name another place"),
        (errno.EACCES, "name a place that you may write to"),
        (errno.EIO, "name another place"),
    ],
)
def test_room_is_asked_for_where_there_is_none(number: int, way_out: str) -> None:
    error = OSError(number, os.strerror(number))
    assert str(unwritable(Path("preds.json"), error)) == f"cannot write `preds.json`: {error.strerror}; {way_out}"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_weights_are_for_those_for_whom_other_files_are(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    path.parent.mkdir()
    before = os.umask(umask)
    try:
        save_file({"weight": torch.zeros(1)}, path)
        follow_umask(tmp_path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode
    assert list(tmp_path.iterdir()) == [path.parent]


def test_a_text_is_saved_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    save_text("first", tmp_path / "new" / "file")
    save_text("second", tmp_path / "new" / "file")
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new").iterdir()} == {"file": "second"}


def test_what_a_library_fails_to_write_replaces_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    save_text("first", tmp_path / "file")
    with files_no_larger_than(3), pytest.raises(OSError, match="too large"), replacing(tmp_path / "file") as temporary:
        temporary.write_text("second", encoding="utf-8")
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {"file": "first"}


def test_a_second_process_is_kept_out_until_the_first_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=r"another r1sgg is writing to `.*out`"), locked(folder):
            pytest.fail("entered a folder that another process holds")
        holder.kill()
    with locked(folder):
        pass


def test_a_folder_is_free_again_afterwards_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locked(tmp_path):
        raise KeyboardInterrupt
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "with others"])
def test_a_folder_is_known_to_be_held_while_it_is(shared: bool, tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with locked(tmp_path, shared=shared):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "none")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match="cannot write"), locked(tmp_path / "taken"):
        pytest.fail("entered a file")


@pytest.mark.parametrize("shared", [True, False], ids=["with others", "alone"])
def test_who_only_looks_keeps_nobody_out(shared: bool, tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # as `is_locked` does, for a moment
    looked = threading.Timer(0.1, os.close, [descriptor])
    looked.start()
    with locked(tmp_path, shared=shared):
        assert is_locked(tmp_path)
    looked.join()


def test_a_forked_worker_does_not_hold_the_lock(tmp_path: Path) -> None:
    """A data loader's workers outlive a killed training by seconds; the same command should go on at once."""
    context = multiprocessing.get_context("fork")
    begun, over = context.Event(), context.Event()

    def work() -> None:
        begun.set()
        over.wait(200)

    worker = context.Process(target=work, daemon=True)
    with locked(tmp_path):
        worker.start()
        assert begun.wait(200)
    with locked(tmp_path):
        assert worker.is_alive()
    over.set()
    worker.join(200)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP], ids=["no locks", "not supported"])
def test_a_file_system_without_locks_keeps_nobody_out(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path):
        pass


@pytest.mark.parametrize(
    ("path", "content", "same"),
    [
        pytest.param("a.bin", "A", True, id="the same again"),
        pytest.param("a.bin", "B", False, id="other content of the same size"),
        pytest.param("b.bin", "A", False, id="one file more"),
        pytest.param("a.log", "x", True, id="a file of another name"),
        pytest.param("below/a.bin", "x", True, id="a file further down"),
    ],
)
def test_a_fingerprint_follows_the_files_it_is_of(tmp_path: Path, path: str, content: str, same: bool) -> None:
    save_text("A", tmp_path / "a.bin")
    before = folder_fingerprint(tmp_path, ["*.bin", "a.*in"])
    save_text(content, tmp_path / path)
    assert len(before) == 16
    assert (folder_fingerprint(tmp_path, ["*.bin"]) == before) is same


def test_a_fingerprint_knows_a_file_by_its_name(tmp_path: Path) -> None:
    save_text("A", tmp_path / "a.bin")
    before = folder_fingerprint(tmp_path, ["*.bin"])
    (tmp_path / "a.bin").rename(tmp_path / "b.bin")
    assert folder_fingerprint(tmp_path, ["*.bin"]) != before


def test_a_file_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    licence, own = tmp_path / "LICENSE", tmp_path / "preds.json"
    licence.write_text("Apache License", encoding="utf-8")
    own.write_text('{\n"format": "r1sgg-predictions",\n', encoding="utf-8")
    insist_on_own(own, "r1sgg-predictions")
    insist_on_own(tmp_path / "new.json", "r1sgg-predictions")
    for path in (licence, tmp_path):
        with pytest.raises(OutputError, match="holds something else and would be lost"):
            insist_on_own(path, "r1sgg-predictions")


def test_a_file_that_cannot_be_read_is_never_replaced() -> None:
    with pytest.raises(OutputError, match="cannot read what `/proc/self/mem` holds"):  # there is no page 0
        insist_on_own(Path("/proc/self/mem"), "r1sgg-predictions")


@pytest.mark.parametrize("name", ["/proc/preds.json", "/proc/none/at/all/preds.json"])
def test_a_place_where_no_file_can_be_made_is_known_before_the_work(name: str) -> None:
    said = rf"^cannot write `{name}`: no file can be made there; name another place$"
    with pytest.raises(OutputError, match=said):
        insist_on_own(Path(name), "r1sgg-predictions")
    with pytest.raises(OutputError, match=said):
        insist_on_own_folder(Path(name), "run.json")


def test_a_name_that_is_too_long_and_a_file_for_a_folder_are_known_too(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="File name too long; name another file"):
        insist_on_own(tmp_path / ("x" * 300), "r1sgg-predictions")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="/file` is a file; name another place"):
        insist_on_own(tmp_path / "file" / "preds.json", "r1sgg-predictions")


def test_to_look_whether_a_file_can_be_made_leaves_nothing(tmp_path: Path) -> None:
    insist_on_own(tmp_path / "new" / "preds.json", "r1sgg-predictions")
    insist_on_own_folder(tmp_path / "run", "run.json")
    assert not list(tmp_path.iterdir())


def test_a_folder_of_something_else_is_not_filled(tmp_path: Path) -> None:
    insist_on_own_folder(tmp_path / "new", "run.json")
    insist_on_own_folder(tmp_path, "run.json")
    (tmp_path / "thesis.tex").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="holds something else; name a new or empty folder"):
        insist_on_own_folder(tmp_path, "run.json")
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    insist_on_own_folder(tmp_path, "run.json")


def test_work_is_done_beside_its_place_and_kept_only_where_an_error_would_lose_something(tmp_path: Path) -> None:
    def stop_with(name: str) -> None:
        with work_beside(tmp_path / "out", keeps=lambda folder: len(list(folder.glob("*.done")))) as folder:
            (folder / name).touch()
            raise KeyboardInterrupt

    for name, left in (("a.begun", []), ("a.done", [".out.partial"])):
        with pytest.raises(KeyboardInterrupt):
            stop_with(name)
        assert [path.name for path in tmp_path.iterdir()] == left
    with work_beside(tmp_path / "out", keeps=lambda folder: 1) as folder:
        assert (folder / "a.done").exists()
    assert list(tmp_path.iterdir()) == [], "what is finished stands at its place"
