"""`r1sgg.json`: how a checkpoint was trained to be asked."""

from pathlib import Path

import pytest

from r1sgg_cli.errors import ModelError
from r1sgg_cli.models.asking import ASKING_FILE, Asking, load_asking, save_asking


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    asking = Asking(think=True, predefined_categories=False, max_pixels=401_408)
    save_asking(asking, tmp_path)
    assert load_asking(str(tmp_path)) == asking


def test_where_thinking_is_asked_for_is_remembered(tmp_path: Path) -> None:
    asking = Asking(think=True, predefined_categories=True, max_pixels=6400, think_prompt="user")
    save_asking(asking, tmp_path)
    assert load_asking(str(tmp_path)) == asking


def test_a_file_from_before_there_was_a_choice_asks_in_the_system_prompt(tmp_path: Path) -> None:
    text = '{"think": true, "predefined_categories": false, "max_pixels": 6400}'
    (tmp_path / ASKING_FILE).write_text(text, encoding="utf-8")
    assert load_asking(str(tmp_path)) == Asking(True, False, 6400, think_prompt="system")


def test_a_base_model_says_nothing(tmp_path: Path) -> None:
    assert load_asking(str(tmp_path)) is None
    assert load_asking("Qwen/Qwen2-VL-2B-Instruct") is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"think": true}',
        '{"unknown": 1}',
        '{"think": "no", "predefined_categories": false, "max_pixels": 6400}',
        '{"think": true, "predefined_categories": false, "max_pixels": "x"}',
        '{"think": true, "predefined_categories": false, "max_pixels": 6400, "think_prompt": "usr"}',
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / ASKING_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"r1sgg\.json` is broken"):
        load_asking(str(tmp_path))
