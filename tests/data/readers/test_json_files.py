"""Annotation files item by item, and what goes wrong with them in one line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.data.readers.json_files import (
    load_json,
    name_at,
    num_occurrences,
    split_of,
    stream_items,
    stream_pairs,
    xyxy_from_xywh,
)
from r1sgg_cli.errors import DataError


def test_items_and_pairs_are_streamed_with_their_kinds_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"data": [{"x": 1, "y": 2.5}, {"x": -3e2, "y": null}]}')
    assert list(stream_items(tmp_path / "a.json", "data.item")) == [{"x": 1, "y": 2.5}, {"x": -300.0, "y": None}]
    assert dict(stream_pairs(tmp_path / "a.json"))["data"][0] == {"x": 1, "y": 2.5}
    assert type(next(stream_items(tmp_path / "a.json", "data.item"))["y"]) is float


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param('{"data": [1', "is not JSON: .*copy it again", id="cut"),
        pytest.param('{"data": [1}]', "is not JSON: .*copy it again", id="crossed"),
        pytest.param("\xff", "is not JSON: .*copy it again", id="no text"),
        pytest.param("", "is an empty file; download or copy it again", id="empty"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    for read in (lambda p: list(stream_items(p, "data.item")), lambda p: list(stream_pairs(p)), load_json):
        with pytest.raises(DataError, match=rf"a\.json` {said}") as caught:
            read(tmp_path / "a.json")
        assert "\n" not in str(caught.value)
        assert " ;" not in str(caught.value)


def test_the_place_that_is_no_json_is_shown(tmp_path: Path) -> None:
    """Python's own `json` writes NaN, which JSON does not have."""
    (tmp_path / "a.json").write_text('{"data": [{"bbox": [NaN, 1]}]}')
    with pytest.raises(DataError, match=r'invalid char in json text\. \{"data": \[\{"bbox": \[NaN, 1\]'):
        list(stream_items(tmp_path / "a.json", "data.item"))


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*gone\.json`: No such file"):
        list(stream_items(tmp_path / "gone.json", "item"))


@given(pieces=st.lists(st.sampled_from([b"needle", b"need", b"le", b"x" * 7]), max_size=40), block=st.integers(6, 20))
def test_occurrences_are_counted_across_blocks(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], block: int
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "a"
    path.write_bytes(b"".join(pieces))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("r1sgg_cli.data.readers.json_files._BLOCK", block)
        assert num_occurrences(path, b"needle") == b"".join(pieces).count(b"needle")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("oidv6-validation-annotations-vrd.csv", "val"),
        ("train_sceneGraphs", "train"),
        ("vrd-test-anno", "test"),
        ("valid", "val"),
        ("own", "train"),
        ("dev", "val"),
        ("testdev", "test"),
        ("contest", "train"),
    ],
)
def test_a_name_speaks_of_its_split(name: str, split: str) -> None:
    assert split_of(name) == split


def test_corner_and_size_become_corners_and_dirt_stays_dirt() -> None:
    assert xyxy_from_xywh([1, 2, 3, 4]) == [1, 2, 4, 6]
    assert xyxy_from_xywh([1, 2, 3]) is None
    assert xyxy_from_xywh([1, 2, "3", 4]) is None


def test_an_index_counts_from_0_and_never_backwards() -> None:
    assert [name_at(["a", "b"], index) for index in (0, 1, 2, -1)] == ["a", "b", "#2", "#-1"]
    with pytest.raises(ValueError, match="is no index"):
        name_at(["a"], "0")  # type: ignore[arg-type]
