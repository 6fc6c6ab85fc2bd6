"""What a name that a user types may mean."""

from pathlib import Path

import pytest

from r1sgg_cli.typed_names import closest_beside, may_be_on_hub, missing_local


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runs/tiny", None),
        ("runs/tinyy", "no folder `runs/tinyy` (did you mean `runs/tiny`?)"),
        ("/none/at/all", "no folder `/none/at/all`"),
        ("./model", "no folder `./model`"),
        ("Qwen/Qwen2-VL-2B-Instruct", None),
    ],
)
def test_a_path_where_nothing_is_is_not_looked_for_on_the_hub(
    name: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert missing_local(name) == said


@pytest.mark.parametrize(
    ("name", "may_be"), [("Qwen/Qwen2-VL-2B-Instruct", True), ("runs/tiny", False), ("./model", False), ("gpt2", False)]
)
def test_a_name_of_the_hub_is_owner_and_name_where_nothing_lies_here(
    name: str, may_be: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert may_be_on_hub(name) == may_be


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("owm.jsonl", "own.jsonl", id="a letter"),
        pytest.param("psg.jsn", "psg.json", id="in the ending"),
        pytest.param("psg.txt", "psg.json", id="another ending"),
        pytest.param("sg.json", "psg.json", id="the nearest ending"),
        pytest.param("vg.json", None, id="the ending alone"),
        pytest.param("x.partial", None, id="hidden"),
    ],
)
def test_a_name_is_like_another_in_more_than_its_ending(name: str, meant: str | None, tmp_path: Path) -> None:
    for other in ("own.jsonl", "psg.json", "psg.json.bak", "shapes.json", ".x.partial"):
        (tmp_path / other).touch()
    assert closest_beside(tmp_path / name) == (meant and tmp_path / meant)
