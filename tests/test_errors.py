"""What one line of ours quotes of an error: never what only a programmer reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.errors import MALFORMED, first_line, in_words, why_unfetched


@pytest.mark.parametrize(
    ("error", "line"),
    [
        pytest.param(OSError("no such file"), "no such file", id="one line"),
        pytest.param(ValueError("\n first\nsecond\n"), "first", id="several lines"),
        pytest.param(ValueError(), "ValueError()", id="nothing"),
        pytest.param(ValueError(" \n"), "ValueError(' \\n')", id="blanks"),
    ],
)
def test_an_error_is_quoted_with_its_first_line_or_its_kind(error: Exception, line: str) -> None:
    assert first_line(error) == line


@pytest.mark.parametrize(
    ("read", "said"),
    [
        pytest.param(lambda: {"a": 1}["width"], "`width` is missing", id="a key"),
        pytest.param(lambda: [1][4], "a list is too short", id="a list"),
        pytest.param(lambda: float([1]), "a value is of another type than it should be", id="a type"),  # type: ignore[arg-type]
        pytest.param(lambda: [].keys(), "a value is of another type than it should be", id="no mapping"),  # type: ignore[attr-defined]
        pytest.param(lambda: int(float("inf")), "a number is too large", id="infinity"),
        pytest.param(lambda: json.loads("[" * 50_000), "it holds lists in lists without an end", id="lists in lists"),
        pytest.param(lambda: b"\xff".decode(), "it is not text in UTF-8", id="bytes"),
        pytest.param(
            lambda: json.loads("{"),
            "it is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))",
            id="half of it",
        ),
        pytest.param(lambda: Path("/nowhere").read_text(), "No such file or directory", id="no file"),
        pytest.param(lambda: float("many"), "could not convert string to float: 'many'", id="words"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_words(read: Callable[[], Any], said: str) -> None:
    with pytest.raises((*MALFORMED, IndexError, OSError)) as raised:
        read()
    assert in_words(raised.value) == said


def test_no_message_shows_an_error_as_python_writes_it() -> None:
    package = Path(__file__).resolve().parent.parent / "r1sgg_cli"
    assert [path for path in package.rglob("*.py") if "{error!r}" in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        pytest.param({}, "not in the cache.", id="online"),
        pytest.param({"HF_HUB_OFFLINE": "0"}, "not in the cache.", id="switched on"),
        pytest.param(
            {"HF_HUB_OFFLINE": "1"},
            "not in the cache; the hub is not asked (`HF_HUB_OFFLINE`): unset that, or give a local folder",
            id="offline",
        ),
        pytest.param(
            {"HF_HUB_OFFLINE": "true", "HF_DATASETS_OFFLINE": "1"},
            "not in the cache; the hub is not asked (`HF_HUB_OFFLINE`, `HF_DATASETS_OFFLINE`): unset that, or give a "
            "local folder",
            id="offline twice",
        ),
    ],
)
def test_a_hub_that_may_not_be_asked_is_said(
    switches: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in switches.items():
        monkeypatch.setenv(name, value)
    assert why_unfetched(OSError("not in the cache.\nlong advice")) == said
