"""Shards: whole or absent, and a set that `datasets` reads without copying them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from datasets import DatasetDict, load_from_disk

from r1sgg_cli.data.rows import FEATURES, Row, load_rows
from r1sgg_cli.data.shards import assemble, write_shard
from r1sgg_cli.data.synthetic import SyntheticOptions, generate_rows


def test_shards_become_a_data_set_in_their_order(tmp_path: Path) -> None:
    rows = list(generate_rows(SyntheticOptions(7), "train"))
    write_shard(rows[:4], tmp_path / "0.arrow")
    write_shard(rows[4:], tmp_path / "1.arrow")
    assemble({"train": [tmp_path / "0.arrow", tmp_path / "1.arrow"]}, tmp_path / "set", identity="a")
    loaded = load_rows(str(tmp_path / "set"))
    assert loaded["image_id"][:] == [row["image_id"] for row in rows]
    assert loaded.features == FEATURES
    assert loaded[6]["image"].size == (100, 100)
    assert isinstance(load_from_disk(str(tmp_path / "set")), DatasetDict)
    links = [path.stat().st_ino for path in sorted((tmp_path / "set" / "train").glob("*.arrow"))]
    assert links == [(tmp_path / f"{number}.arrow").stat().st_ino for number in range(2)], "no image is copied"


def test_sets_of_other_content_have_other_fingerprints(tmp_path: Path) -> None:
    """`datasets` keeps what it computed from a set under its fingerprint."""
    found = set()
    for identity in ("a", "b"):
        write_shard(generate_rows(SyntheticOptions(1), "train"), tmp_path / "0.arrow")
        assemble({"train": [tmp_path / "0.arrow"]}, tmp_path / identity, identity=identity)
        found.add(load_rows(str(tmp_path / identity))._fingerprint)
    assert len(found) == 2


def test_rows_that_end_in_an_error_leave_no_shard(tmp_path: Path) -> None:
    def failing() -> Iterator[Row]:
        yield from generate_rows(SyntheticOptions(2), "train")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(failing(), tmp_path / "0.arrow")
    assert not (tmp_path / "0.arrow").exists()
