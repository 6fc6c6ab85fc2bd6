"""YAML as people expect it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.config.yaml import dump_yaml, load_yaml, parse_yaml
from r1sgg_cli.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-7", 3e-7),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-2", -2),
        ("010", 10),
        ("24:00:00", "24:00:00"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("1_000", "1_000"),
        (".inf", float("inf")),
        ("[1, 2e0]", [1, 2.0]),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    assert parse_yaml(text, "here") == value


def test_a_syntax_error_is_one_line_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("a: 1\nb: [1,\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"recipe\.yaml` is not valid YAML, line 3"):
        load_yaml(path)


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="must hold `key: value` lines, not a list"):
        load_yaml(path)


def test_nothing_in_a_file_is_executed() -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        parse_yaml("!!python/object/apply:os.system ['true']", "here")


@pytest.mark.parametrize(
    "text", ["a: " + "9" * 5000, "a: " + "[" * 5000, "a: !!int x"], ids=["digits", "lists", "word"]
)
def test_what_python_cannot_hold_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^`here` cannot be read: [^\n]+$"):
        parse_yaml(text, "here")


def test_a_file_that_is_not_utf_8_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes("model: café\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"recipe\.yaml` is not UTF-8 text: .* at byte 10"):
        load_yaml(path)


@pytest.mark.parametrize("text", ["12e4", "1e5", "1E3", "+.5e1", "010", "1_000", "0x1f", "no", "24:00:00", ".inf", "~"])
def test_a_string_that_looks_like_something_else_stays_a_string(text: str) -> None:
    assert parse_yaml(dump_yaml({"name": text, text: "key"}), "here") == {"name": text, text: "key"}


NUMERIC_LOOKING = st.from_regex(r"[-+]?[0-9._]{0,4}([eE][-+]?[0-9]{0,3})?", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8")) | NUMERIC_LOOKING
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS


@given(st.dictionaries(st.text("abcdefgh_", min_size=1) | NUMERIC_LOOKING, SCALARS | st.lists(SCALARS)))
def test_what_is_written_is_read_back(value: dict[str, Any]) -> None:
    assert parse_yaml(dump_yaml(value), "here") == value


def test_a_key_that_is_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`r\.yaml` is not valid YAML, line 3: `max_steps` is given twice"):
        parse_yaml("max_steps: 2\nwarmup: 0\nmax_steps: 3\n", "r.yaml")
    assert parse_yaml("{a: {x: 1}, b: {x: 2}}", "r.yaml") == {"a": {"x": 1}, "b": {"x": 2}}
