"""What the command line states itself, because its help may import nothing heavy, is what the packages below it say."""

import inspect

from r1sgg_cli.cli import options
from r1sgg_cli.cli.infer import infer
from r1sgg_cli.config.schema import SFTRecipe
from r1sgg_cli.data.vocabularies import PUBLISHED


def test_the_published_sets_have_one_name() -> None:
    assert PUBLISHED["vg150"] == {"train": options.VG150_TRAIN, "val": options.VG150_VAL}


def test_infer_lets_a_model_write_as_much_as_sft_teaches_it() -> None:
    assert inspect.signature(infer).parameters["max_new_tokens"].default == SFTRecipe().max_answer_tokens
