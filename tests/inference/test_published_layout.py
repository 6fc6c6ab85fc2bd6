"""The published per-image layout, and what the published code made of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.errors import AnswersError
from r1sgg_cli.inference.answered_split import AnsweredSplit
from r1sgg_cli.inference.gather import gather_split
from r1sgg_cli.inference.jsonl_truths import load_jsonl_truths
from r1sgg_cli.inference.label_mapping import label_mapping
from r1sgg_cli.inference.published_layout import DatasetAsked, is_published_layout, load_published
from r1sgg_cli.inference.wordnet import WordNet
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.scene_graph.labels import normalise_label, object_name
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary

from .conftest import make_truth, needs_dictionary

MAN = '{"objects": [{"id": "man.1", "bbox": [0, 0, 500, 500]}], "relationships": []}'
SPLIT = DatasetAsked("data/shapes", "test", None, None, (make_truth("a"), make_truth("b")))


def write(folder: Path, name: str, **content: Any) -> None:
    folder.mkdir(exist_ok=True)
    whole = {"image_id": name, "response": MAN, "gt_objects": "[]", "gt_relationships": "[]", **content}
    (folder / f"{name}.json").write_text(json.dumps(whole), encoding="utf-8")


def boxes(split: AnsweredSplit, image: int = 0) -> list[list[float]]:
    graph = gather_split(split, allow_missing=True).images[image].prediction
    assert graph is not None
    return graph.boxes_xyxy.tolist()


def test_a_file_says_in_what_unit_its_boxes_are(tmp_path: Path) -> None:
    write(tmp_path, "a", box_scale=[2000.0, 1000.0])
    assert boxes(load_published(tmp_path, SPLIT, None)) == [[0, 0, 50, 50]]


@pytest.mark.parametrize(
    ("family", "box"),
    [("qwen2_vl", [0, 0, 100, 50]), ("internvl", [0, 0, 100, 50])],
)
def test_where_it_does_not_the_family_says_so(tmp_path: Path, family: Any, box: list[float]) -> None:
    write(tmp_path, "a")
    assert boxes(load_published(tmp_path, SPLIT, FAMILIES[family])) == [box]


def test_boxes_in_a_padded_square_count_from_its_corner(tmp_path: Path) -> None:
    """200 × 100 pixels in the middle of a square, in fractions of its side."""
    write(tmp_path, "a", response=MAN.replace("[0, 0, 500, 500]", "[0.5, 0.25, 1.0, 0.5]"))
    assert boxes(load_published(tmp_path, SPLIT, FAMILIES["llava"])) == [[100, 0, 200, 50]]


def test_nothing_is_guessed_where_nothing_says_the_unit(tmp_path: Path) -> None:
    write(tmp_path, "a")
    with pytest.raises(AnswersError, match=r"1 files of .* have no `box_scale`.*: `a`; add `--family`"):
        load_published(tmp_path, SPLIT, None)
    with pytest.raises(AnswersError, match=r"Qwen2.5-VL writes pixels of an image whose size only `box_scale`"):
        load_published(tmp_path, SPLIT, FAMILIES["qwen2_5_vl"])


def test_images_without_a_file_are_missing_and_counted_among_all(tmp_path: Path) -> None:
    """The published code divides its failures by the files that are there."""
    write(tmp_path, "a", box_scale=[1000, 1000])
    split = load_published(tmp_path, SPLIT, None)
    with pytest.raises(AnswersError, match="1 of 2 images have no answer: `b`; let the program that wrote"):
        gather_split(split)
    assert [image.failure for image in gather_split(split, allow_missing=True).images] == [None, "missing"]


def test_files_that_hold_no_answer_are_listed(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path, name, box_scale=[1000, 1000])
    (tmp_path / "c.json").write_text("{oops")
    (tmp_path / "d.json").write_text('{"image_id": "a"}')
    write(tmp_path, "e", box_scale=[1000, 0])
    (tmp_path / "f.json").write_text("[1]")
    provenance = gather_split(load_published(tmp_path, SPLIT, None)).provenance
    assert [file for _, _, file in provenance["gather"]["broken_lines"]] == ["c.json", "d.json", "e.json", "f.json"]


def test_an_image_with_two_files_is_named_and_the_first_counts(tmp_path: Path) -> None:
    write(tmp_path, "a", box_scale=[1000, 1000])
    write(tmp_path, "b", image_id="a", box_scale=[500, 500])
    split = load_published(tmp_path, SPLIT, None)
    assert boxes(split) == [[0, 0, 100, 50]]
    assert gather_split(split, allow_missing=True).provenance["gather"]["repeated_images"] == ["a"]


def test_ids_that_are_numbers_are_the_same_ids(tmp_path: Path) -> None:
    write(tmp_path, "7", image_id=7, box_scale=[1000, 1000])
    assert list(load_published(tmp_path, SPLIT, None).loaded.answers) == ["7"]


def test_a_folder_without_any_answer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(AnswersError, match=r"no file of .* holds an answer \(config.json: "):
        load_published(tmp_path, SPLIT, None)


def test_one_bad_box_leaves_the_rest_of_its_image(tmp_path: Path) -> None:
    """The published code drops the whole image."""
    bad = '{"objects": [{"id": "dog.1", "bbox": [1, 2, 3]}, {"id": "man.2", "bbox": [0, 0, 500, 500]}]}'
    write(tmp_path, "a", response=bad, box_scale=[1000, 1000])
    assert boxes(load_published(tmp_path, SPLIT, None)) == [[0, 0, 100, 50]]


def test_a_folder_that_infer_began_is_none_of_this_layout(tmp_path: Path) -> None:
    assert not is_published_layout(tmp_path)
    write(tmp_path, "a")
    assert is_published_layout(tmp_path)
    (tmp_path / "ground_truth.jsonl").touch()
    assert not is_published_layout(tmp_path)


@pytest.fixture(scope="module")
def published(shared_dir: Path) -> dict[str, dict[str, Any]]:
    return json.loads((shared_dir / "golden/eval/dev/gathered.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def golden(shared_dir: Path) -> AnsweredSplit:
    folder = shared_dir / "golden/eval/dev"
    truths = load_jsonl_truths(folder / "dataset.jsonl")
    asked = DatasetAsked("golden", None, None, load_vocabulary("vg150"), truths)
    return load_published(folder / "raw", asked, FAMILIES["qwen2_vl"])


@pytest.fixture(scope="module")
def golden_images(golden: AnsweredSplit) -> tuple[ImagePrediction, ...]:
    return gather_split(golden, allow_missing=True).images


def test_well_formed_answers_within_the_vocabulary_give_what_the_published_code_gave(
    golden_images: tuple[ImagePrediction, ...], published: dict[str, dict[str, Any]]
) -> None:
    """Repeated relationships and dangling ones are read alike as well."""
    harmless = {"repeated_relationship", "dangling_relationship", "missing_relationships"}
    compared = 0
    for image in golden_images:
        if image.prediction is None or not image.prediction.names or not set(image.defects) <= harmless:
            continue
        graph, theirs = image.prediction, published[image.image_id]
        assert list(graph.names) == theirs["names_target"]
        assert graph.boxes_xyxy.tolist() == [pytest.approx(box, abs=1e-9) for box in theirs["boxes"]]
        ours = [(graph.names[t.subject], t.predicate, graph.names[t.object]) for t in graph.triplets]
        assert ours == [(row[0], row[4], row[2]) for row in theirs["relation_tuples"]]
        pairs = [[t.subject, t.object] for t in graph.triplets]
        assert pairs == (theirs["graph"]["all_node_pairs"] if theirs["relation_tuples"] else [])
        compared += 1
    assert compared >= 25


@needs_dictionary
def test_objects_that_are_mapped_otherwise_are_those_that_the_published_mapping_gets_wrong(
    golden: AnsweredSplit, published: dict[str, dict[str, Any]], vg150_wordnet: WordNet
) -> None:
    mapping = label_mapping(golden.vocabulary, load_dictionary=lambda _: vg150_wordnet)
    otherwise = set()
    for image in gather_split(golden, allow_missing=True, mapping=mapping).images:
        if image.prediction is None or image.image_id not in published:
            continue
        ids, theirs = map(normalise_label, image.prediction.ids), published[image.image_id]
        ours = dict(zip(ids, image.prediction.names, strict=True))
        for object_id, name in zip(theirs["names"], theirs["names_target"], strict=True):
            if ours.get(normalise_label(object_id), name) != name:
                otherwise.add((object_name(object_id), name, ours[normalise_label(object_id)]))
    assert otherwise == {
        ("car tire", "car", "tire"),
        ("grass", "pot", "grass"),
        ("home", "plate", "home"),
        ("sun glasses", "glass", "sun glasses"),
        ("teddy bear", "bear", "teddy bear"),
        ("wall", "fence", "wall"),
    }
