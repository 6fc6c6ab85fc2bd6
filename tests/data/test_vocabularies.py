"""Which vocabulary belongs to a data set."""

import json
from pathlib import Path

import pytest

from r1sgg_cli.data.vocabularies import vocabulary_of


@pytest.mark.parametrize(
    ("dataset", "counts"),
    [("JosephZ/vg150_val_sgg_prompt", (150, 50)), ("JosephZ/psg_train_sg", (133, 56))],
    ids=["vg150", "psg"],
)
def test_published_sets_bring_theirs(dataset: str, counts: tuple[int, int]) -> None:
    vocabulary = vocabulary_of(dataset)
    assert vocabulary is not None
    assert (len(vocabulary.objects), len(vocabulary.predicates)) == counts


def test_a_prepared_set_brings_its_own_and_a_named_one_wins(tmp_path: Path) -> None:
    (tmp_path / "vocabulary.json").write_text(json.dumps({"objects": ["Cup"], "predicates": ["on"]}), encoding="utf-8")
    own, named = vocabulary_of(str(tmp_path)), vocabulary_of(str(tmp_path), "psg")
    assert own is not None
    assert named is not None
    assert own.objects == ("cup",)
    assert len(named.objects) == 133


def test_a_set_without_one_has_none() -> None:
    assert vocabulary_of("somebody/own_set") is None


def test_pictures_without_a_data_set_have_no_vocabulary_whatever_lies_in_the_folder_they_are_asked_from(
    synthetic_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(synthetic_dataset)
    assert vocabulary_of("") is None
    assert vocabulary_of("", "psg") is not None
