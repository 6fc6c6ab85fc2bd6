"""Answers on the hub: the real client against a stand-in that speaks the hub's protocol for uploads.

The hub itself cannot be reached by tests. The client reads its settings when it is imported, so that each test has a
process of its own.
"""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .conftest import ANSWERS_FILE, FolderMaker, make_answer

CODE = """\
import sys
from pathlib import Path
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference.hub import claim_repository, push_answers
try:
    claim_repository("me/answers")
    print(push_answers(Path(sys.argv[1]), "me/answers"))
except ConfigError as error:
    sys.exit(str(error))
"""


OLD = "answers-elsewhere-0.jsonl"


@dataclass
class Hub:
    """What a stand-in was asked to make and to keep."""

    url: str = ""
    made: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)


@pytest.fixture
def hub() -> Iterator[Hub]:
    kept = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(self._found(body))

        def do_GET(self) -> None:
            if "/tree/" in self.path:
                old = {"type": "file", "path": OLD, "size": 1, "oid": "0" * 40}
                self._answer([old, old | {"path": "README.md"}])
                return
            self._answer({"id": "me/answers", "sha": "0" * 40, "private": True, "tags": [], "siblings": []})

        def _found(self, body: bytes) -> dict[str, Any]:
            address = kept.url
            if self.path == "/api/repos/create":
                kept.made.append(json.loads(body))
                return {"url": f"{address}/datasets/me/answers"}
            if "/preupload/" in self.path:
                files = json.loads(body)["files"]
                return {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "deletedFile":
                    kept.deleted.append(line["value"]["path"])
                if line["key"] == "file":
                    kept.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return {"commitUrl": f"{address}/datasets/me/answers/commit/1", "commitOid": "1", "hookOutput": ""}

        def _answer(self, found: Any) -> None:
            content = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kept
    server.shutdown()


def push(folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", CODE, str(folder)], env=env | environ, capture_output=True, text=True, check=False
    )


def test_a_finished_folder_is_pushed_and_nothing_else_in_it(hub: Hub, make_folder: FolderMaker) -> None:
    folder = make_folder(["a"], [make_answer("a")])
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    done = push(folder, HF_ENDPOINT=hub.url, HF_TOKEN="hf_stand_in")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == f"{hub.url}/datasets/me/answers/commit/1"
    assert [(made["type"], made["visibility"]) for made in hub.made] == [("dataset", "private")]
    assert set(hub.files) == {"run.json", "ground_truth.jsonl", ANSWERS_FILE}
    assert hub.deleted == [OLD], "answers of another run would be taken for this one's"
    assert hub.files[ANSWERS_FILE] == (folder / ANSWERS_FILE).read_bytes()


@pytest.mark.parametrize(
    "environ",
    [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_stand_in"}],
    ids=["offline", "no network"],
)
def test_a_hub_that_cannot_be_reached_is_one_line_with_the_way_out(
    environ: dict[str, str], make_folder: FolderMaker
) -> None:
    done = push(make_folder(["a"], [make_answer("a")]), **environ)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("the hub does not take answers as `me/answers`: ")
    assert "hf auth login" in done.stderr
