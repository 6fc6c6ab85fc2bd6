"""Who of a folder's workers uploads it: one of them, once for each command.

OUT/pushed.json    where the answers are, as they are; away once images are left, and when a new command begins
"""

import json
from pathlib import Path

from r1sgg_cli.files import LOCK_FILE, locked, save_text
from r1sgg_cli.inference.hub import push_answers
from r1sgg_cli.inference.run_record import RUN_FILE

PUSHED_FILE = "pushed.json"
PUSH_LOCK = f"{LOCK_FILE}-push"
"""Held during the upload: should its worker fail, the next one that waits uploads."""


def push_once(out: Path, repo_id: str) -> str | None:
    """Upload a finished folder, unless another worker of the command has; the address of the commit.

    Raises `R1SGGError`.
    """
    with locked(out, PUSH_LOCK, wait=True):
        path = out / PUSHED_FILE
        if path.exists() and json.loads(path.read_text(encoding="utf-8"))["repository"] == repo_id:
            return None
        commit = push_answers(out, repo_id)
        save_text(json.dumps({"repository": repo_id, "commit": commit}) + "\n", path)
        return commit


def forget_push(out: Path) -> None:
    """Let a command that begins push again. A folder that is not ours is left as it is."""
    if (out / RUN_FILE).exists():
        (out / PUSHED_FILE).unlink(missing_ok=True)
