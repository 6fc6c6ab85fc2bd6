"""Text files that are whole or absent: what a killed run or a full disk leaves behind can always be read."""

import os
from contextlib import suppress
from pathlib import Path

from r1sgg_cli.errors import OutputError


def save_text(text: str, path: Path) -> None:
    """Write `text` to `path`, all of it or nothing, making folders on the way. Raises `OutputError`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write `{path}`: {error.strerror}; free some space or name another place") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
