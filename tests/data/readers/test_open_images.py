"""Open Images: fractions in the order x x y y, attributes are no relationships, ids stay text."""

from collections.abc import Callable
from pathlib import Path

import pytest

from r1sgg_cli.data.annotations import AnnotatedImage
from r1sgg_cli.data.readers.open_images import open_open_images
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.errors import DataError
from tests.data.readers.conftest import Cleaned
from tests.data.readers.layouts import write_json

ReadAll = Callable[..., list[AnnotatedImage]]
HEAD = "ImageID,LabelName1,LabelName2,XMin1,XMax1,YMin1,YMax1,XMin2,XMax2,YMin2,YMax2,RelationshipLabel"
ROWS = (
    "0012,/m/man,/m/hat,0.1,0.5,0.2,0.9,0.2,0.3,0.1,0.2,wears",
    "0012,/m/man,/m/wooden,0.1,0.5,0.2,0.9,0.1,0.5,0.2,0.9,is",
    "0012,/m/hat,/m/man,0.2,0.3,0.1,0.2,0.1,0.5,0.2,0.9,on",
)


def tables(folder: Path, *rows: str, header: bool = True, head: str = HEAD) -> Path:
    (folder / "oidv6-train-annotations-vrd.csv").write_text("\n".join([head, *rows]) + "\n")
    names = ["LabelName,DisplayName"] * header + ["/m/man,Man", "/m/hat,Hat"]
    (folder / "class-descriptions-boxable.csv").write_text("\n".join(names) + "\n")
    return folder


@pytest.mark.parametrize("header", [True, False], ids=["with a header", "without one"])
def test_a_table_becomes_a_graph(tmp_path: Path, header: bool, read_all: ReadAll, cleaned: Cleaned) -> None:
    (image,) = read_all(tables(tmp_path, *ROWS, header=header))
    graph, met = cleaned(image)
    assert image.image_id == "0012", "an id that looks like a number stays text"
    assert graph.ids == ("Man.1", "Hat.2")
    assert graph.boxes_xyxy.tolist() == [[10, 20, 50, 90], [20, 10, 30, 20]]
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "wears", 1), (1, "on", 0)]
    assert met == {"attribute": 1}


def test_boxes_that_no_relationship_names_come_from_their_own_table(
    tmp_path: Path, read_all: ReadAll, cleaned: Cleaned
) -> None:
    tables(tmp_path, *ROWS)
    (tmp_path / "train-annotations-bbox.csv").write_text(
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded\n"
        "0012,xclick,/m/hat,1,0.7,0.8,0.7,0.8,0\n"
        "0012,xclick,/m/man,1,0.100001,0.5,0.2,0.9,0\n"
        "0099,xclick,/m/man,1,0.1,0.5,0.2,0.9,0\n"
    )
    graph, _ = cleaned(read_all(tmp_path)[0])
    assert graph.ids == ("Hat.1", "Man.2", "Hat.3")
    assert [tuple(triplet) for triplet in graph.triplets] == [(1, "wears", 2), (2, "on", 1)]


def test_a_real_row_is_an_attribute(tmp_path: Path, read_all: ReadAll) -> None:
    row = "000ac95750ac7399,/m/04yx4,/m/019nj4,0.049375,0.560625,0.08427,0.999064,0.049375,0.560625,0.08427,0.999064,is"
    (image,) = read_all(tables(tmp_path, row))
    assert image.relationships == ()
    assert image.faults == {"attribute": 1}


def test_the_processed_layout_has_pixels_and_indices_from_0(
    tmp_path: Path, read_all: ReadAll, cleaned: Cleaned
) -> None:
    entry = {"img_fn": "a", "img_size": [100, 80], "bbox": [[1, 2, 30, 40], [5, 5, 9, 9]], "det_labels": [1, 0]}
    write_json([{**entry, "rel": [[0, 1, 0], [0, 5, 0]]}], tmp_path / "vrd-test-anno.json")
    write_json({"obj": ["Hat", "Man"], "rel": ["wears"]}, tmp_path / "categories_dict.json")
    (image,) = read_all(tmp_path)
    graph, met = cleaned(image)
    assert image.split == "test"
    assert graph.ids == ("Man.1", "Hat.2")
    assert graph.boxes_xyxy.tolist() == [[1, 2, 30, 40], [5, 5, 9, 9]]
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "wears", 1)]
    assert met == {"dangling_relationship": 1}


@pytest.mark.parametrize(
    ("head", "rows", "expected"),
    [
        pytest.param(HEAD.replace("XMin2,", ""), (), "expected ImageID", id="a column is missing"),
        pytest.param(HEAD, ("1,a,b,x,0,0,0,0,0,0,0,on",), "is not a table of Open Images", id="no number"),
    ],
)
def test_another_table_is_one_line(tmp_path: Path, head: str, rows: tuple[str, ...], expected: str) -> None:
    source = open_open_images(tables(tmp_path, *rows, head=head), ReadOptions())
    with pytest.raises(DataError, match=expected) as caught:
        list(source.read())
    assert "\n" not in str(caught.value)


def test_names_are_needed(tmp_path: Path) -> None:
    tables(tmp_path, *ROWS)
    (tmp_path / "class-descriptions-boxable.csv").unlink()
    with pytest.raises(DataError, match="has no `class-descriptions"):
        open_open_images(tmp_path, ReadOptions())


def test_an_end_that_the_table_of_boxes_lacks_is_added_and_counted(
    tmp_path: Path, read_all: ReadAll, cleaned: Cleaned
) -> None:
    tables(tmp_path, *ROWS[:1])
    (tmp_path / "train-annotations-bbox.csv").write_text(
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n0012,x,/m/man,1,0.1,0.5,0.2,0.9\n"
    )
    graph, met = cleaned(read_all(tmp_path)[0])
    assert graph.ids == ("Man.1", "Hat.2")
    assert met == {"added_end": 1}


def test_images_with_boxes_alone_are_read_where_empty_ones_are_kept(tmp_path: Path, read_all: ReadAll) -> None:
    tables(tmp_path, *ROWS)
    (tmp_path / "train-annotations-bbox.csv").write_text(
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\nff,x,/m/man,1,0.1,0.5,0.2,0.9\n"
    )
    assert [image.image_id for image in read_all(tmp_path)] == ["0012"]
    assert [image.image_id for image in read_all(tmp_path, keep_empty=True)] == ["0012", "ff"]


def test_empty_cells_and_cut_lines_are_dirt(tmp_path: Path, read_all: ReadAll, cleaned: Cleaned) -> None:
    nameless = "0012,/m/man,,0.1,0.5,0.2,0.9,0.2,0.3,0.1,0.2,wears"
    wordless = "0012,/m/man,/m/hat,0.1,0.5,0.2,0.9,0.2,0.3,0.1,0.2,"
    image = read_all(tables(tmp_path, *ROWS[:1], nameless, wordless, "0012,/m/man,/m/hat,0.1,0.5"))[0]
    graph, met = cleaned(image)
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "wears", 1)]
    assert met == {"unknown_object": 1, "lost_relationship": 2, "unnamed_predicate": 1, "bad_box": 1 + 1}


def test_a_label_without_a_description_is_unknown(tmp_path: Path, read_all: ReadAll, cleaned: Cleaned) -> None:
    unknown = "0012,/m/man,/m/zzz,0.1,0.5,0.2,0.9,0.2,0.3,0.1,0.2,wears"
    _, met = cleaned(read_all(tables(tmp_path, *ROWS[:1], unknown))[0])
    assert met == {"unknown_object": 1, "lost_relationship": 1}
