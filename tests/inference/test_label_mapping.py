"""Labels outside the vocabulary, mapped into it."""

from pathlib import Path

import numpy as np
import pytest

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference.label_mapping import LabelMapping, label_mapping
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

VG150 = load_vocabulary("vg150")


class OneWord:
    """A dictionary that knows one word of either kind."""

    source = "one word"

    def object_class(self, name: str) -> str | None:
        return "bird" if name == "gull" else None

    def predicate_class(self, predicate: str) -> str | None:
        return "with" if predicate == "accompanying" else None


def graph(names: list[str], *triplets: tuple[int, str, int]) -> SceneGraph:
    boxes = np.arange(4 * len(names), dtype=np.float64).reshape(-1, 4)
    ids = tuple(f"{name}.{number}" for number, name in enumerate(names, start=1))
    return SceneGraph(ids, tuple(names), boxes, tuple(Triplet(*t) for t in triplets), (100, 100))


def mapping(**options: object) -> LabelMapping:
    return label_mapping(VG150, **options)  # type: ignore[arg-type]


def test_a_mapped_object_keeps_its_id_and_its_box() -> None:
    before = graph(["bicycle", "man"])
    after, defects = mapping().apply(before)
    assert after.names == ("bike", "man")
    assert after.ids == before.ids
    assert after.boxes_xyxy.tolist() == before.boxes_xyxy.tolist()
    assert defects == {"object_mapped_by_alias": 1}


def test_a_passive_swaps_its_ends_and_nothing_else_does() -> None:
    before = graph(["horse", "man"], (0, "ridden by", 1), (1, "is next to", 0), (1, "parked in", 0))
    after, defects = mapping().apply(before)
    assert after.triplets == ((1, "riding", 0), (1, "near", 0), (1, "parked in", 0))
    assert defects == {"swapped_predicate_mapped_by_alias": 1, "predicate_mapped_by_alias": 1}


def test_a_class_is_never_mapped() -> None:
    before = graph(["plane", "glass"], (0, "laying on", 1))
    assert mapping(load_dictionary=lambda _: OneWord()).apply(before) == (before, {})


def test_the_dictionary_is_asked_where_no_alias_is_known() -> None:
    after, defects = mapping(load_dictionary=lambda _: OneWord()).apply(
        graph(["gull", "bicycle", "xyzzy"], (0, "accompanying", 1))
    )
    assert after.names == ("bird", "bike", "xyzzy")
    assert after.triplets[0].predicate == "with"
    assert defects == {"object_mapped_by_wordnet": 1, "object_mapped_by_alias": 1, "predicate_mapped_by_wordnet": 1}


def test_what_is_off_maps_nothing() -> None:
    before = graph(["bicycle", "gull"], (0, "ridden by", 1))
    assert mapping(aliases=False).apply(before) == (before, {})
    after, _ = mapping(aliases=False, load_dictionary=lambda _: OneWord()).apply(before)
    assert after.names == ("bicycle", "bird")


def test_objects_that_were_given_keep_their_names() -> None:
    after, _ = mapping().apply(graph(["bicycle", "man"], (1, "rides", 0)), objects_are_given=True)
    assert after.names == ("bicycle", "man")
    assert after.triplets == ((1, "riding", 0),)


def test_the_record_counts_every_mapped_label_by_name() -> None:
    mapped = mapping()
    for _ in range(2):
        mapped.apply(graph(["bicycle", "tyre", "bicycle"], (0, "ridden by", 1)))
    assert mapped.record() == {
        "aliases": "vg150",
        "wordnet": None,
        "mapped": {
            "objects": {"bicycle → bike": 4, "tyre → tire": 2},
            "predicates": {},
            "swapped_predicates": {"ridden by → riding": 2},
        },
    }


def test_psgs_objects_are_mapped_to_objects() -> None:
    """The published code asks for predicates there, so that a sofa is dropped."""
    psg = load_vocabulary("psg")
    mapped = label_mapping(psg)
    after, _ = mapped.apply(graph(["sofa", "sky", "automobile"], (0, "near", 1)))
    assert after.names == ("couch", "sky other merged", "car")
    assert after.triplets == ((0, "beside", 1),)


def test_a_vocabulary_without_a_table_maps_nothing_unless_it_is_asked_to() -> None:
    shapes = Vocabulary(("red circle",), ("left of",))
    assert label_mapping(shapes).record()["aliases"] is None
    with pytest.raises(ConfigError, match="there is a table for vg150, psg and parts of them only"):
        label_mapping(shapes, aliases=True)


def test_an_own_table_serves_any_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text('{"objects": {"red disc": "red circle"}}')
    shapes = Vocabulary(("red circle",), ("left of",))
    mapped = label_mapping(shapes, alias_file=path)
    assert mapped.apply(graph(["red disc"]))[0].names == ("red circle",)
    assert mapped.record()["aliases"] == str(path)


def test_without_a_vocabulary_nothing_can_be_mapped() -> None:
    nothing = Vocabulary((), ())
    assert label_mapping(nothing).record()["mapped"]["objects"] == {}
    with pytest.raises(ConfigError, match="`--wordnet`: the answers have no vocabulary to map labels into"):
        label_mapping(nothing, load_dictionary=lambda _: OneWord())
