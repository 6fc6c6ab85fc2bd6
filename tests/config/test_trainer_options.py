"""TRL's options are known without importing TRL."""

import dataclasses
import subprocess
import sys

import pytest

from r1sgg_cli.config.trainer_options import STATED, check_trainer_options, trainer_fields
from r1sgg_cli.errors import ConfigError


def test_the_source_says_what_the_classes_say() -> None:
    from trl import GRPOConfig, SFTConfig

    for kind in (GRPOConfig, SFTConfig):
        assert trainer_fields(kind.__name__) == {f.name for f in dataclasses.fields(kind) if f.init}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gradient_checkpoint", "has no option `gradient_checkpoint`; did you mean `gradient_checkpointing`"),
        ("qqqqqq", "TRL's `GRPOConfig` has no option `qqqqqq`$"),
        ("learning_rate", "`trainer.learning_rate` follows from the recipe"),
        ("save_steps", "follows from the recipe and the plan; set `checkpoint_every`"),
    ],
    ids=["misspelt", "nothing like it", "stated", "under another name"],
)
def test_a_wrong_option_is_one_line(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_trainer_options("GRPOConfig", {name: 1})


@pytest.mark.parametrize("name", ["dataloader_num_workers", "vllm_max_model_length"])
@pytest.mark.parametrize("value", ["two", -1, 2.5, True])
def test_what_is_read_before_trl_checks_it_is_a_whole_number(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"`trainer.{name}` is a whole number from 0 up, not `{value}`"):
        check_trainer_options("GRPOConfig", {name: value})
    check_trainer_options("GRPOConfig", {name: 2})
    check_trainer_options("GRPOConfig", {name: None})


def test_what_is_stated_are_options_of_trl() -> None:
    for kind, stated in STATED.items():
        assert stated <= trainer_fields(kind)


def test_nothing_heavy_is_imported_for_it() -> None:
    code = (
        "import sys; from r1sgg_cli.config.trainer_options import trainer_fields; trainer_fields('GRPOConfig');"
        "print([m for m in ('torch', 'trl', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
