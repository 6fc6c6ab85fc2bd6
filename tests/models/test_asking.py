"""`r1sgg.json`: how a checkpoint was trained to be asked."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from r1sgg_cli.errors import ModelError
from r1sgg_cli.models.asking import ASKING_FILE, Asking, load_asking, save_asking

ASKING = Asking(think=True, predefined_categories=False, max_pixels=6400)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    asking = Asking(think=True, predefined_categories=False, max_pixels=401_408)
    save_asking(asking, tmp_path)
    assert load_asking(str(tmp_path)) == asking


def test_where_thinking_is_asked_for_is_remembered(tmp_path: Path) -> None:
    asking = Asking(think=True, predefined_categories=True, max_pixels=6400, think_prompt="user")
    save_asking(asking, tmp_path)
    assert load_asking(str(tmp_path)) == asking


def test_a_base_model_says_nothing(tmp_path: Path) -> None:
    assert load_asking(str(tmp_path)) is None
    assert load_asking("Qwen/Qwen2-VL-2B-Instruct") is None


@pytest.mark.parametrize("field", asdict(ASKING))
def test_a_file_that_leaves_something_unsaid_is_one_line(tmp_path: Path, field: str) -> None:
    said = {key: value for key, value in asdict(ASKING).items() if key != field}
    (tmp_path / ASKING_FILE).write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(ModelError, match=rf"r1sgg\.json` is broken: `{field}` is missing; delete it to ask"):
        load_asking(str(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        *(
            json.dumps({**asdict(ASKING), **change})
            for change in (
                {"unknown": 1},
                {"think": "no"},
                {"max_pixels": "x"},
                {"think_prompt": "usr"},
                {"tasks": "sgg"},
                {"tasks": None},
            )
        ),
    ],
    ids=["cut short", "a list", "an unknown field", "think", "pixels", "think prompt", "letters for tasks", "no tasks"],
)
def test_a_broken_file_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / ASKING_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"r1sgg\.json` is broken"):
        load_asking(str(tmp_path))
