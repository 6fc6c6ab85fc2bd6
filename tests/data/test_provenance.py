"""What a record says of where answers come from."""

from typing import Any, get_args

import pytest

from r1sgg_cli.config.schema import Task
from r1sgg_cli.data.provenance import TASKS, checked_names, checked_provenance, mapping_of, origin_of

WHOLE = {
    "model": "runs/sft",
    "split": None,
    "limit": 4,
    "annotated": True,
    "task": "det",
    "prompts": {"think": True},
    "more": [1, {"a": None}],
    "gather": {"label_mapping": {"aliases": "psg", "mapped": {"objects": {"guy → man": 3}}}},
}


def test_the_tasks_are_those_of_the_configuration() -> None:
    assert get_args(Task) == TASKS


@pytest.mark.parametrize("record", [{}, WHOLE, {"gather": {}}], ids=["nothing", "much", "gathered"])
def test_what_is_sound_comes_back_as_it_is(record: dict[str, Any]) -> None:
    assert checked_provenance(record) == record


@pytest.mark.parametrize(
    ("change", "match"),
    [
        pytest.param({"model": None}, "`model` must be a text", id="no model"),
        pytest.param({"split": 3}, "`split` must be a text or null", id="a split by number"),
        pytest.param({"limit": True}, "`limit` must be a number of images or null", id="a limit of true"),
        pytest.param({"split_size": -1}, "`split_size` must be a number", id="fewer than no images"),
        pytest.param({"annotated": "no"}, "`annotated` must be true or false", id="a word for false"),
        pytest.param({"task": "segment"}, "`task` must be one of sgg, det, cls", id="another task"),
        pytest.param({"prompts": []}, "`prompts` must be a mapping", id="prompts in a list"),
        pytest.param({"gather": None}, "`gather` must be a mapping", id="null"),
        pytest.param({"gather": {"label_mapping": 3}}, "`label_mapping` must be a mapping", id="a number"),
        pytest.param({"gather": {"label_mapping": {"mapped": {"objects": {"a": "b"}}}}}, "counts", id="no counts"),
        pytest.param({"dataset": "\ud800"}, "surrogates not allowed", id="half a letter"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], match: str) -> None:
    with pytest.raises((TypeError, ValueError), match=match):
        checked_provenance({**WHOLE, **change})


def test_a_record_is_a_mapping() -> None:
    with pytest.raises(ValueError, match="the record must be a mapping"):
        checked_provenance([WHOLE])


@pytest.mark.parametrize("names", ["man", {"man": 1}, [1], [["man"]], ["\ud800"], None], ids=repr)
def test_names_are_a_list_of_texts(names: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        checked_names(names)
    assert checked_names(["man", "é"]) == ["man", "é"]


def test_the_origin_says_which_part_of_a_split_it_was() -> None:
    provenance = {"model": "runs/a", "dataset": "data/x", "split": "test", "limit": 4, "split_size": 9}
    assert origin_of(provenance) == "runs/a on data/x (test), first 4 of 9 images (`--limit`)"
    assert origin_of({}) == "unknown model on unknown data set"


def test_what_was_mapped_is_said_with_its_effect() -> None:
    assert mapping_of(WHOLE) == "3 labels were mapped into the vocabulary (aliases: psg), which may raise the numbers"
    assert mapping_of({}) is None
