"""`r1sgg worker`, which torchrun starts and users do not see."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from r1sgg_cli.cli.app import app
from r1sgg_cli.errors import ConfigError


def test_it_is_not_listed_and_its_help_ends_with_an_example() -> None:
    assert "worker" not in CliRunner().invoke(app, ["--help"]).output
    assert "Example: r1sgg worker" in CliRunner().invoke(app, ["worker", "--help"], env={"COLUMNS": "200"}).output


def test_a_folder_that_was_not_launched_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no `launch\.yaml` in"):
        app(["worker", str(tmp_path)], standalone_mode=False)
