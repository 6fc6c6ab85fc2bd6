"""Words reach a program as they are, but for what the job is to look up."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.launch.shell import Expanded, command_line, looked_up

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/home/ana", "USER": "ana b", "LANG": "C.UTF-8"}


def printed(line: str) -> str:
    return subprocess.run(
        ["bash", "-uc", f"printf %s {line}"], env=ENVIRON, capture_output=True, text=True, check=True
    ).stdout


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["C"]), min_size=1))
def test_any_word_survives(word: str) -> None:
    assert printed(command_line([word])) == word


def test_what_is_marked_is_expanded() -> None:
    assert command_line(["srun", "a b", Expanded('"$USER"')]) == "srun 'a b' \"$USER\""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/scratch", "/scratch"),
        ("$USER", "ana b"),
        ("/s p/$USER/x", "/s p/ana b/x"),
        ("${USER}s", "ana bs"),
        ("~/envs/a", "/home/ana/envs/a"),
        ("a~/b", "a~/b"),
        ("$(touch x)`y`'\"", "$(touch x)`y`'\""),
    ],
)
def test_variables_and_the_home_folder_are_looked_up_and_nothing_else(text: str, expected: str) -> None:
    assert printed(looked_up(text)) == expected


def test_a_variable_that_is_not_set_is_an_error() -> None:
    done = subprocess.run(["bash", "-c", f"echo {looked_up('$NOWHERE/x')}"], capture_output=True, text=True)
    assert done.returncode
    assert "NOWHERE" in done.stderr
