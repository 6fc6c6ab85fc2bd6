"""Which images a run is evaluated on, and that they are not those it is trained on."""

from pathlib import Path

import pytest

from r1sgg_cli.config.held_out import HeldOutSplit, choice_by_test_images, held_out_split
from r1sgg_cli.config.recipes import resolve_run
from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.errors import ConfigError

VG150_TRAIN, VG150_VAL = "JosephZ/vg150_train_sgg_prompt", "JosephZ/vg150_val_sgg_prompt"


def sft_run(dataset: str, split: str | None, *overrides: str) -> SFTRun:
    given = {"model": "m", "dataset": dataset, "split": split, "out": Path("out"), "precision": "float32"}
    return resolve_run(SFTRun, None, overrides, **given)


@pytest.mark.parametrize(
    ("dataset", "overrides", "expected"),
    [
        ("data/own", (), None),
        ("data/own", ("evaluation={}",), HeldOutSplit("data/own", "test")),
        ("data/own", ("evaluation.split=val",), HeldOutSplit("data/own", "val")),
        ("data/own", ("evaluation.dataset=data/other",), HeldOutSplit("data/other", "test")),
        (VG150_TRAIN, ("evaluation={}",), HeldOutSplit(VG150_VAL, None)),
        ("data/own", (f"evaluation.dataset={VG150_VAL}",), HeldOutSplit(VG150_VAL, None)),
    ],
    ids=["off", "its own test split", "another split", "another set", "published", "a published set by name"],
)
def test_the_split_that_is_held_out(dataset: str, overrides: tuple[str, ...], expected: HeldOutSplit | None) -> None:
    assert held_out_split(sft_run(dataset, "train", *overrides)) == expected


@pytest.mark.parametrize(
    ("split", "override"),
    [("train", "evaluation.split=train"), (None, "evaluation.split=train"), ("test", "evaluation={}")],
    ids=["named", "not named", "test is trained on"],
)
def test_what_is_trained_on_is_not_held_out(split: str | None, override: str) -> None:
    with pytest.raises(ConfigError, match=r"of `data/own` is trained on, and so not held out"):
        held_out_split(sft_run("data/own", split, override))


@pytest.mark.parametrize(
    ("dataset", "overrides", "is_wrong"),
    [
        ("data/own", ("evaluation={}",), False),
        ("data/own", ("evaluation.best_by=mean_recall",), True),
        ("data/own", ("evaluation.best_by=mean_recall", "evaluation.split=val"), False),
        (VG150_TRAIN, ("evaluation.best_by=mean_recall",), True),
        (VG150_TRAIN, ("evaluation.best_by=mean_recall", "evaluation.dataset=data/own"), True),
    ],
    ids=["nothing is chosen", "by the test split", "by another", "by a published test set", "by another's test split"],
)
def test_a_choice_by_the_test_images_is_warned_of(dataset: str, overrides: tuple[str, ...], is_wrong: bool) -> None:
    said = choice_by_test_images(sft_run(dataset, "train", *overrides))
    assert (said is not None) == is_wrong
    assert said is None or "`--set evaluation.split=val`" in said


def test_a_split_reads_as_it_is_written_in_messages() -> None:
    assert str(HeldOutSplit("data/own", "val")) == "`val` of `data/own`"
    assert str(HeldOutSplit(VG150_VAL, None)) == f"`{VG150_VAL}`"
