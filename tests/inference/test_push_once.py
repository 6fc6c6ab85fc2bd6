"""A folder with several workers is uploaded by one of them, and again by the next command."""

import os
import subprocess
import sys

from r1sgg_cli.inference.push_once import PUSHED_FILE, forget_push

from .conftest import FolderMaker, make_answer
from .test_hub import Hub, hub

__all__ = ["hub"]

CODE = """\
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference.push_once import forget_push, push_once

out = Path(sys.argv[1])

def by_three_workers(_):
    with ThreadPoolExecutor(3) as workers:
        return sum(commit is not None for commit in workers.map(lambda _: push_once(out, "me/answers"), range(3)))

try:
    first = by_three_workers(out)
    later = push_once(out, "me/answers")
    other = push_once(out, "me/others")
    forget_push(out)
    print(first, later, other is not None, by_three_workers(out))
except ConfigError:
    sys.exit("refused")
"""


def pushed(folder: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    argv = [sys.executable, "-c", CODE, folder]
    return subprocess.run(argv, env=env | environ, capture_output=True, text=True, check=False)


def test_of_the_workers_of_a_command_one_uploads_and_the_next_command_does_again(
    hub: Hub,
    make_folder: FolderMaker,
) -> None:
    folder = make_folder(["a"], [make_answer("a")])
    done = pushed(str(folder), HF_ENDPOINT=hub.url, HF_TOKEN="hf_stand_in")
    assert done.stdout.splitlines()[-1] == "1 None True 1", done.stderr
    assert PUSHED_FILE not in hub.files


def test_an_upload_that_fails_is_not_taken_for_one(make_folder: FolderMaker) -> None:
    folder = make_folder(["a"], [make_answer("a")])
    assert pushed(str(folder), HF_HUB_OFFLINE="1").stderr == "refused\n"
    assert not (folder / PUSHED_FILE).exists()


def test_a_folder_of_somebody_else_keeps_its_files(make_folder: FolderMaker) -> None:
    folder = make_folder(["a"], [make_answer("a")])
    for file in ("run.json", PUSHED_FILE):
        (folder / file).write_text("{}", encoding="utf-8")
    (folder / "run.json").unlink()
    forget_push(folder)
    assert (folder / PUSHED_FILE).exists()
