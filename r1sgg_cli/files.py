"""Files that are whole or absent and replace nothing foreign; folders with one writer and a fingerprint."""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from r1sgg_cli.errors import OutputError

LOCK_FILE = ".lock"
LOOK_SECONDS = 1.0
"""How long a lock may be held by those who only look (`is_locked`), at most: theirs is let go at once."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def save_text(text: str, path: Path) -> None:
    """Write `text` to `path`, all of it or nothing, making folders on the way. Raises `OutputError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` for what is written there; it takes its place in the end, or is removed on an error.

    For what other libraries write; their formats follow no suffix then. Raises `OSError`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> OutputError:
    """What to say of a file or folder that cannot be written: why, and what helps against just that."""
    if blocking := _file_above(path):
        return OutputError(f"cannot write `{path}`: `{blocking}` is a file; name another place")
    if isinstance(error, IsADirectoryError):
        return OutputError(f"cannot write `{path}`: it is a folder; name a file")
    reason = "no file can be made there" if isinstance(error, FileNotFoundError) else error.strerror
    ways_out = dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space or name another place")
    ways_out |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "name a place that you may write to")
    return OutputError(f"cannot write `{path}`: {reason}; {ways_out.get(error.errno or 0, 'name another place')}")


def _file_above(path: Path) -> Path | None:
    """The file that stands where a path wants a folder."""
    return next((above for above in path.parents if above.is_file()), None)


def follow_umask(folder: Path) -> None:
    """Give weights in `folder` and below the permissions that any new file gets there.

    safetensors 0.8 writes them for their owner alone, whatever the umask or the folder says. Raises `OSError`.
    """
    probe = folder / f".mode.{os.getpid()}.tmp"
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        mode = os.fstat(descriptor).st_mode & 0o777
    finally:
        os.close(descriptor)
        probe.unlink()
    for path in folder.rglob("*.safetensors"):
        if path.stat().st_uid == os.geteuid():  # another's are not ours to open
            path.chmod(mode)


_held: set[int] = set()


def _let_go() -> None:
    while _held:
        os.close(_held.pop())


# A fork shares its parent's locks, and the workers of a data loader outlive a killed training by seconds.
os.register_at_fork(after_in_child=_let_go)


@contextmanager
def locked(
    folder: Path, name: str = LOCK_FILE, *, shared: bool = False, wait: bool = False, for_path: Path | None = None
) -> Iterator[None]:
    """Keep every other process that asks for it out of `folder`, which is made if absent. Raises `OutputError`.

    `shared` keeps out only those that ask for the folder alone; `wait` waits for them. The lock ends with the process,
    however it ends; its file stays. Where the file system has no locks nothing is kept out. An error over a folder that
    is our own affair names `for_path`, what the user asked for.
    """
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unwritable(for_path or folder, error) from error
    _held.add(descriptor)
    try:
        _lock(descriptor, path, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def folder_beside(out: Path) -> Path:
    """Where `work_beside` makes `out`."""
    return out.parent / f".{out.name}.partial"


@contextmanager
def work_beside(out: Path, keeps: Callable[[Path], int] = lambda folder: 0) -> Iterator[Path]:
    """A locked folder in which `out` is made before it is moved to its place; it is removed in the end.

    It stays where the process is killed, or an error ends it and `keeps` counts something finished in it. Raises
    `OutputError`.
    """
    folder = folder_beside(out)
    with locked(folder, for_path=out):
        is_done = False
        try:
            yield folder
            is_done = True
        finally:
            if is_done or not keeps(folder):
                shutil.rmtree(folder, ignore_errors=True)


def is_locked(folder: Path, name: str = LOCK_FILE) -> bool:
    """Whether a process holds `folder` at this moment, alone or with others."""
    path = folder / name
    try:
        # NFS gives a lock for oneself alone only to who may write.
        descriptor = os.open(path, os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int, path: Path, how: int) -> None:
    deadline = time.monotonic() + LOOK_SECONDS
    while not _is_taken(descriptor, how):
        if time.monotonic() > deadline:
            raise OutputError(
                f"another r1sgg is writing to `{path.parent}` (it holds `{path.name}` there); "
                "wait for it or give another folder"
            )
        time.sleep(LOOK_SECONDS / 20)


def _is_taken(descriptor: int, how: int) -> bool:
    """Whether the lock is ours now, or there are none here."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def folder_fingerprint(folder: Path, patterns: Iterable[str]) -> str:
    """16 hex digits over names, sizes and contents of the files in `folder` that match a glob pattern.

    Raises `OSError` where one cannot be read.
    """
    whole = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()  # reads chunk by chunk
        whole.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0{content}\n".encode())
    return whole.hexdigest()[:16]


def insist_on_own(path: Path, mark: str, way_out: str = "name another file") -> None:
    """Refuse to replace a file that does not say what it is (`mark`) in its first line or two.

    So is a place where no file can be made, which is better known before the work than after. Raises `OutputError`.
    """
    try:
        is_foreign = path.exists()
        if path.is_file():
            with path.open("rb") as file:
                is_foreign = mark.encode() not in file.read(len(mark) + 100)
    except OSError as error:
        raise OutputError(f"cannot read what `{path}` holds: {error.strerror}; {way_out}") from error
    if is_foreign:
        raise OutputError(f"`{path}` holds something else and would be lost; {way_out}")
    _insist_on_writable(path)


def _insist_on_writable(path: Path) -> None:
    """Refuse a place in whose folder, or in the nearest above it that exists, no file can be made."""
    try:
        above = next(above for above in path.absolute().parents if above.exists())
        with tempfile.TemporaryFile(dir=above):  # what a folder allows is not always what its mode says
            pass
    except OSError as error:
        raise unwritable(path, error) from error


def insist_on_own_folder(folder: Path, record: str, beside: Iterable[str] = ()) -> None:
    """Refuse a folder that holds files but no `record`, by which this program knows its own. Raises `OutputError`.

    Locks and those named `beside` may be there before it. So is a folder that could not be made.
    """
    if blocking := _file_above(folder):
        raise OutputError(f"cannot write `{folder}`: `{blocking}` is a file; name another folder")
    if (folder / record).exists():
        return
    if not folder.exists():
        _insist_on_writable(folder)
        return
    foreign = {path.name for path in folder.iterdir()} - {*beside} if folder.is_dir() else {folder.name}
    # Another process may be writing the record at this moment.
    if any(not name.startswith((LOCK_FILE, f".{record}.")) for name in foreign):
        raise OutputError(f"`{folder}` holds something else; name a new or empty folder")
