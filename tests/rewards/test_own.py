"""Rewards of the user's own: found in the working folder, called as TRL calls them, and held to what it can use."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.reward_names import check_names
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.rewards.chosen import chosen_rewards
from r1sgg_cli.rewards.own import own_fingerprints, own_reward
from r1sgg_cli.scene_graph.similarity import exact_similarity

COMPLETIONS = [[{"role": "assistant", "content": text}] for text in ("{}", "{} {}")]
COLUMNS: dict[str, Any] = {"objects": ["[]"] * 2, "relationships": ["[]"] * 2, "task": ["sgg"] * 2}
Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """`write(text)`: `own_words.py` in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def written(text: str) -> None:
        (tmp_path / "own_words.py").write_text(text, encoding="utf-8")
        sys.modules.pop("own_words", None)

    yield written
    sys.modules.pop("own_words", None)


def test_a_function_is_called_with_the_columns_by_name(write: Write) -> None:
    write(
        "def length(completions, objects, **columns):\n"
        "    assert columns['task'] == ['sgg', 'sgg']\n"
        "    return [len(turns[-1]['content']) if objects else None for turns in completions]\n"
    )
    (reward,) = chosen_rewards(["own_words:length"], exact_similarity, None)
    assert reward.__name__ == "own_words:length"
    assert reward(COMPLETIONS, **COLUMNS) == [2.0, 5.0]


def test_what_does_not_apply_stays_none(write: Write) -> None:
    write("def nothing(completions, **columns):\n    return [None, True]\n")
    assert own_reward("own_words:nothing")(COMPLETIONS, **COLUMNS) == [None, 1.0]


def test_nothing_is_run_where_names_are_only_checked(write: Write) -> None:
    write("raise SystemExit('was run')\n")
    check_names(["own_words:length"])


@pytest.mark.parametrize("beginning", ["raise SystemExit('was run')\n", "import no_such_package\n", None])
def test_nor_is_the_package_that_a_module_is_in(beginning: str | None, write: Write, tmp_path: Path) -> None:
    write("")
    folder = tmp_path / "own_package" / "inner"
    folder.mkdir(parents=True)
    for package in (folder.parent, folder) if beginning else ():  # None: folders alone are packages, too
        (package / "__init__.py").write_text(beginning or "", encoding="utf-8")
    (folder / "words.py").write_text("raise SystemExit('was run')\n", encoding="utf-8")
    check_names(["own_package.inner.words:length"])
    for name in ("own_package.inner.wrods", "own_package.outer.words", "own_words.inner"):
        with pytest.raises(ConfigError, match=f"no module `{name}`"):
            check_names([f"{name}:length"])
    assert not {"own_package", "own_package.inner"} & sys.modules.keys()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "own_wrods:length",
            "no module `own_wrods` in `.*`, nor installed; .* the folder that has `own_wrods.py`",
        ),
        ("nobody.here:length", "no module `nobody.here`.*`nobody/here.py`"),
        ("own_words:", "names no reward of your own; write `module:function`"),
        ("own words:length", "names no reward of your own"),
        ("../own_words:length", "names no reward of your own"),
        ("own_words:lenght", "`own_words` has no function `lenght`; did you mean `own_words:length`"),
        ("own_words:LIMIT", "`own_words` has no function `LIMIT`"),
        ("own_words:short", r"returned 1 values for 2 completions; return a list of one value each"),
        ("own_words:number", r"returned a float for 2 completions"),
        ("own_words:nan", r"returned nan for completion 1; return None where it does not apply"),
        ("own_words:words", r"returned 'good' for completion 0; return a number, or None"),
        ("own_words:digits", r"returned '1.0' for completion 0; return a number, or None"),
        (
            "own_words:demanding",
            r"cannot be called with completions, objects, .*required argument: 'prompts'",
        ),
    ],
)
def test_a_mistake_is_one_line(write: Write, name: str, message: str) -> None:
    write(
        "LIMIT = 3\n"
        "def length(completions, **columns): return [1.0, 2.0]\n"
        "def short(completions, **columns): return [1.0]\n"
        "def number(completions, **columns): return 1.0\n"
        "def nan(completions, **columns): return [1.0, float('nan')]\n"
        "def words(completions, **columns): return ['good', 'bad']\n"
        "def digits(completions, **columns): return ['1.0', '2.0']\n"
        "def demanding(completions, prompts, **columns): return [1.0, 2.0]\n"
    )
    with pytest.raises(ConfigError, match=message) as caught:
        own_reward(name)(COMPLETIONS, **COLUMNS)
    assert "\n" not in str(caught.value)


def test_a_module_that_cannot_be_imported_is_one_line(write: Write) -> None:
    write("import no_such_package\n")
    with pytest.raises(ConfigError, match=r"`own_words` cannot be imported .*no_such_package"):
        own_reward("own_words:length")


def test_a_bug_in_the_function_keeps_its_traceback(write: Write) -> None:
    write("def broken(completions, **columns):\n    return 1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        own_reward("own_words:broken")(COMPLETIONS, **COLUMNS)


def test_another_function_is_another_fingerprint(write: Write) -> None:
    write("def length(completions, **columns): return [1.0, 2.0]\n")
    first = own_fingerprints(["format_reward", "own_words:length"])
    assert set(first) == {"own_words:length"}
    write("def length(completions, **columns): return [2.0, 2.0]\n")
    assert own_fingerprints(["own_words:length"]) != first
