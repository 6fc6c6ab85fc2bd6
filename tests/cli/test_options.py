"""What the command line states itself, because its help may import nothing heavy, is what the packages below it say."""

import inspect
from typing import get_args

import pytest
from typer.testing import CliRunner

from r1sgg_cli.cli import options
from r1sgg_cli.cli.app import app
from r1sgg_cli.cli.infer import infer
from r1sgg_cli.config.published_sets import VG150_TRAIN, VG150_VAL
from r1sgg_cli.config.schema import SFTRecipe, SFTRun


def test_the_published_sets_have_one_name() -> None:
    assert (options.VG150_TRAIN, options.VG150_VAL) == (VG150_TRAIN, VG150_VAL)


def test_the_loggers_are_those_of_a_run() -> None:
    (choices,) = get_args(SFTRun.model_fields["report_to"].annotation)
    assert get_args(choices) == options.LOGGERS


def test_a_logger_that_there_is_not_is_named_as_it_was_typed() -> None:
    said = CliRunner().invoke(app, ["sft", "--model", "m", "--report-to", "wandbb"], env={"COLUMNS": "200"}).output
    assert "Invalid value for '--report-to': `wandbb` is none of tensorboard, wandb, trackio" in said


@pytest.mark.parametrize(
    "option", ["--temperature=nan", "--temperature=inf", "--top-p=nan", "--num-answers=99999999999"]
)
def test_numbers_with_which_nothing_is_sampled_are_usage_errors(option: str) -> None:
    done = CliRunner().invoke(app, ["infer", "m", "out", option], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert f"Invalid value for '{option.partition('=')[0]}'" in done.output


def test_infer_lets_a_model_write_as_much_as_sft_teaches_it() -> None:
    assert inspect.signature(infer).parameters["max_new_tokens"].default == SFTRecipe().max_answer_tokens
