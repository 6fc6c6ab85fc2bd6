"""One parser for whatever a model writes: what it keeps, what it counts, and that only `ParseError` comes out."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.scene_graph.graph import SpaceWH, Triplet
from r1sgg_cli.scene_graph.parse import ParseError, parse_answer
from tests.scene_graph.soundness import insist_on_sound_answer

SPACE = (1000.0, 1000.0)
MAN = {"id": "man.1", "bbox": [1, 2, 30, 40]}
HORSE = {"id": "horse.2", "bbox": [5, 6, 70, 80]}
RIDING = {"subject": "man.1", "predicate": "riding", "object": "horse.2"}


def graph_text(objects: Any = (MAN, HORSE), relationships: Any = (RIDING,)) -> str:
    return json.dumps({"objects": objects, "relationships": relationships})


WHOLE = graph_text()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WHOLE, id="bare"),
        pytest.param(f"```json\n{WHOLE}\n```", id="json fence"),
        pytest.param(f"```\n{WHOLE}\n```", id="plain fence"),
        pytest.param(f"<think>hm</think><answer>\n```json\n{WHOLE}\n```\n</answer>", id="fence in tags"),
        pytest.param(f"<think>hm</think>\n```json\n{WHOLE}\n```", id="fence after thinking"),
        pytest.param(f"<think>the <answer> tag</think><answer>{WHOLE}</answer>", id="tag in thinking"),
        pytest.param(WHOLE.replace(", ", ",\n\t"), id="indented"),
        pytest.param(WHOLE.replace("{", '{"note": {"a": [1]}, '), id="further keys"),
    ],
)
def test_whole_graph_is_read_without_defect(text: str) -> None:
    answer = parse_answer(text, SPACE)
    assert answer.graph.ids == ("man.1", "horse.2")
    assert answer.graph.names == ("man", "horse")
    assert answer.graph.boxes_xyxy.tolist() == [[1, 2, 30, 40], [5, 6, 70, 80]]
    assert answer.graph.triplets == (Triplet(0, "riding", 1),)
    assert answer.graph.space_wh == SPACE
    assert dict(answer.defects) == {}


def test_empty_graph_is_a_graph() -> None:
    answer = parse_answer('<think></think><answer>{"objects": [], "relationships": []}</answer>', SPACE)
    assert answer.graph.ids == ()
    assert answer.graph.boxes_xyxy.shape == (0, 4)
    assert answer.tagged
    assert not answer.defects


def thing(**changes: Any) -> dict[str, Any]:
    return {**HORSE, **changes}


def link(**changes: Any) -> dict[str, Any]:
    return {**RIDING, **changes}


@pytest.mark.parametrize(
    ("objects", "relationships", "defects", "num_objects", "num_triplets"),
    [
        pytest.param([MAN, thing(bbox=[1, 2, 3])], [], {"bad_box": 1}, 1, 0, id="three numbers"),
        pytest.param([MAN, thing(bbox=[1, 2, 3, "4"])], [], {"bad_box": 1}, 1, 0, id="string in box"),
        pytest.param([MAN, thing(bbox="1234")], [], {"bad_box": 1}, 1, 0, id="string as box"),
        pytest.param([MAN, thing(bbox=[1, 2, 3, True])], [], {"bad_box": 1}, 1, 0, id="boolean in box"),
        pytest.param([MAN, thing(bbox=None)], [], {"bad_box": 1}, 1, 0, id="null box"),
        pytest.param([MAN, {"id": "horse.2"}], [], {"bad_box": 1}, 1, 0, id="no box"),
        pytest.param([MAN, thing(bbox=[1, 2, float("nan"), 4])], [], {"bad_box": 1}, 1, 0, id="NaN"),
        pytest.param([MAN, thing(bbox=[1, 2, float("inf"), 4])], [], {"bad_box": 1}, 1, 0, id="infinity"),
        pytest.param([MAN, thing(bbox=[9, 2, 3, 4])], [], {"bad_box": 1}, 1, 0, id="right of its end"),
        pytest.param([MAN, thing(bbox=[1000, 2, 1100, 4])], [], {"bad_box": 1}, 1, 0, id="outside"),
        pytest.param([MAN, thing(bbox=[-5, 2, 1100, 4])], [], {"clipped_box": 1}, 2, 0, id="beyond the border"),
        pytest.param(
            [MAN, thing(bbox=[5, 6, 70, 10**400])], [], {"bad_box": 1}, 1, 0, id="an integer beyond any float"
        ),
        pytest.param([MAN, thing(bbox=[5, 6, 5, 6])], [], {}, 2, 0, id="a point is a box"),
        pytest.param([MAN, thing(id=7)], [], {"bad_object": 1}, 1, 0, id="number as id"),
        pytest.param([MAN, thing(id=[])], [], {"bad_object": 1}, 1, 0, id="list as id"),
        pytest.param([MAN, thing(id=" ")], [], {"bad_object": 1}, 1, 0, id="blank id"),
        pytest.param([MAN, thing(id="\ud800.1")], [], {"bad_object": 1}, 1, 0, id="lone surrogate"),
        pytest.param([MAN, "horse", None, [1]], [], {"bad_object": 3}, 1, 0, id="no objects"),
        pytest.param([MAN, {**MAN, "bbox": [0, 0, 9, 9]}], [], {"repeated_id": 1}, 1, 0, id="first of an id wins"),
        pytest.param([MAN, {**MAN, "id": "man.2"}], [], {"repeated_object": 1}, 2, 0, id="same object again"),
        pytest.param([MAN, HORSE], [link(object="cow.3")], {"dangling_relationship": 1}, 2, 0, id="unknown end"),
        pytest.param([MAN], [RIDING], {"dangling_relationship": 1}, 1, 0, id="end that was dropped"),
        pytest.param([MAN, HORSE], [link(predicate=None), RIDING], {"bad_relationship": 1}, 2, 1, id="null predicate"),
        pytest.param([MAN, HORSE], [link(subject={}), 3, {}], {"bad_relationship": 3}, 2, 0, id="no relationships"),
        pytest.param([MAN, HORSE], [link(predicate=" _")], {"empty_predicate": 1}, 2, 0, id="empty predicate"),
        pytest.param([MAN, HORSE], [RIDING, RIDING], {"repeated_relationship": 1}, 2, 2, id="same triplet again"),
        pytest.param([MAN, HORSE], None, {"missing_relationships": 1}, 2, 0, id="no list of relationships"),
    ],
)
def test_each_item_is_judged_by_itself(
    objects: Any, relationships: Any, defects: dict[str, int], num_objects: int, num_triplets: int
) -> None:
    answer = parse_answer(graph_text(objects, relationships), SPACE)
    assert dict(answer.defects) == defects
    assert len(answer.graph.ids) == num_objects
    assert len(answer.graph.triplets) == num_triplets


def test_labels_are_normalised_and_ids_are_kept_as_written() -> None:
    text = graph_text([{"id": "Tree-merged .1", "bbox": [0, 0, 1, 1]}], [])
    graph = parse_answer(text, SPACE).graph
    assert graph.ids == ("Tree-merged .1",)
    assert graph.names == ("tree merged",)


def test_box_is_clipped_to_its_space() -> None:
    text = graph_text([{"id": "sky.1", "bbox": [-20, 5, 700, 90.5]}], [])
    assert parse_answer(text, (640, 480)).graph.boxes_xyxy.tolist() == [[0, 5, 640, 90.5]]


@pytest.mark.parametrize(
    ("text", "ids", "num_triplets", "defects"),
    [
        pytest.param(WHOLE[:-1], ["man.1", "horse.2"], 1, {"truncated": 1}, id="last brace missing"),
        pytest.param(WHOLE[:-9], ["man.1", "horse.2"], 0, {"truncated": 1}, id="cut in a relationship"),
        pytest.param(WHOLE[:60], ["man.1"], 0, {"truncated": 1}, id="cut in an object"),
        pytest.param(f"Here: {WHOLE} Bye.", ["man.1", "horse.2"], 1, {"prose": 1}, id="prose around"),
        pytest.param(f"A {{nice}} one: {WHOLE}", ["man.1", "horse.2"], 1, {"prose": 1}, id="braces in prose"),
        pytest.param(f'{{"graph": {WHOLE}}}', ["man.1", "horse.2"], 1, {"prose": 1}, id="wrapped"),
        pytest.param(
            WHOLE.replace("40]}", "40}"),
            ["horse.2"],
            0,
            {"broken_json": 1, "dangling_relationship": 1},
            id="object cannot be read",
        ),
        pytest.param(
            WHOLE.replace("80]}]", "80}]"),
            ["man.1"],
            0,
            {"broken_json": 1, "dangling_relationship": 1},
            id="last object cannot be read",
        ),
        pytest.param(
            WHOLE.replace("[1,", "[" + "9" * 5000 + ","),
            ["horse.2"],
            0,
            {"bad_box": 1, "dangling_relationship": 1},
            id="5,000 digits",
        ),
        pytest.param(WHOLE.replace("]}, {", "]} {"), ["man.1", "horse.2"], 1, {"broken_json": 1}, id="comma missing"),
        pytest.param(
            graph_text([MAN], [])[:-21] + "}", ["man.1"], 0, {"missing_relationships": 1}, id="no relationships"
        ),
    ],
)
def test_whole_items_of_broken_json_are_kept(
    text: str, ids: list[str], num_triplets: int, defects: dict[str, int]
) -> None:
    answer = parse_answer(text, SPACE)
    assert list(answer.graph.ids) == ids
    assert len(answer.graph.triplets) == num_triplets
    assert dict(answer.defects) == defects


def test_relationships_may_come_first() -> None:
    text = json.dumps({"relationships": [RIDING], "objects": [MAN, HORSE]})[:-1]
    answer = parse_answer(text, SPACE)
    assert answer.graph.triplets == (Triplet(0, "riding", 1),)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("", "no_json", id="nothing"),
        pytest.param("I see a man.", "no_json", id="prose"),
        pytest.param("[1, 2]", "no_json", id="no JSON object"),
        pytest.param("{", "truncated", id="a brace"),
        pytest.param('{"objects": [{"id": "man.1", "bb', "truncated", id="cut in the first object"),
        pytest.param('{"obj', "truncated", id="cut in a key"),
        pytest.param('<think>well, {"objects": []', "truncated", id="cut while thinking"),
        pytest.param("{}", "not_a_graph", id="empty JSON object"),
        pytest.param('{"objects": ""}', "not_a_graph", id="objects are no list"),
        pytest.param('{"relationships": []}', "not_a_graph", id="no objects"),
        pytest.param('{"a": ' * 50_000, "not_a_graph", id="deep braces"),
        pytest.param('{"objects": ' + "[" * 50_000, "truncated", id="deep brackets"),
    ],
)
def test_text_without_a_graph_says_why(text: str, kind: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_answer(text, SPACE)
    assert caught.value.kind == kind


def test_deep_nesting_behind_whole_items_loses_only_itself() -> None:
    text = f'{{"objects": [{json.dumps(MAN)}, {"[" * 50_000}'
    assert parse_answer(text, SPACE).graph.ids == ("man.1",)


def test_three_thousand_objects_are_read() -> None:
    objects = [{"id": f"leaf.{i}", "bbox": [0, 0, 1 + i % 900, 9]} for i in range(3000)]
    assert len(parse_answer(graph_text(objects, []), SPACE).graph.ids) == 3000


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=["L", "N", "P", "Cs"])),
    lambda children: (
        st.lists(children, max_size=5) | st.dictionaries(st.sampled_from(["id", "bbox", "objects"]), children)
    ),
    max_leaves=12,
)
NUMBERS = st.integers(-50, 1200) | st.floats(-50, 1200) | st.sampled_from([float("nan"), float("inf"), 10**400])
OBJECTS = st.fixed_dictionaries(
    {"id": st.sampled_from(["a.1", "b.2", "c"]), "bbox": st.lists(NUMBERS, min_size=4, max_size=4)}
)
LINKS = st.fixed_dictionaries({key: st.sampled_from(["a.1", "b.2", "on", ""]) for key in RIDING})
GRAPHS = st.builds(
    lambda objects, links, cut: graph_text(objects, links)[: cut or None],
    st.lists(OBJECTS | JSON_VALUES, max_size=6),
    st.lists(LINKS | JSON_VALUES, max_size=6),
    st.integers(-40, 0),
)
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "<answer>",
            "```json",
            '"objects": [',
            '"relationships": [',
            "{",
            "}",
            "]",
            '"',
            ",",
            "\ud800",
        ]
    )
    | GRAPHS
    | JSON_VALUES.map(json.dumps),
    max_size=8,
).map("".join)


@given(
    GRAPHS | FRAGMENTS | st.text(),
    st.sampled_from([(1.0, 1.0), (1000, 1000), (640, 483), (7, 1 / 3)]),
    st.sampled_from([(0.0, 0.0), (0.0, 0.125), (-3.5, 1e6)]),
)
def test_any_text_gives_a_sound_graph_or_a_parse_error(
    text: str, space_wh: SpaceWH, origin: tuple[float, float]
) -> None:
    try:
        answer = parse_answer(text, space_wh, origin)
    except ParseError:
        return
    insist_on_sound_answer(answer)
    json.dumps(answer.graph.to_rows(), allow_nan=False).encode()


@given(st.lists(OBJECTS, max_size=5), st.lists(LINKS, max_size=5), st.integers(0, 400))
def test_truncation_never_invents_items(objects: list[Any], links: list[Any], length: int) -> None:
    whole = graph_text(objects, links)
    everything = parse_answer(whole, SPACE).graph
    try:
        part = parse_answer(whole[:length], SPACE).graph
    except ParseError:
        return
    assert part.ids == everything.ids[: len(part.ids)]
    assert part.triplets == everything.triplets[: len(part.triplets)]


@pytest.mark.parametrize(
    ("box", "expected", "defects"),
    [
        pytest.param([0.25, 0.25, 0.5, 0.5], [0.25, 0.125, 0.5, 0.375], {}, id="inside"),
        pytest.param([0, 0.125, 1, 0.875], [0, 0, 1, 0.75], {}, id="the whole image"),
        pytest.param([0, 0.12, 1, 0.88], [0, 0, 1, 0.75], {"clipped_box": 1}, id="into the padding"),
        pytest.param([0, 0, 1, 0.12], None, {"bad_box": 1}, id="in the padding alone"),
        pytest.param([-0.1, 0.2, 0.1, 0.325], [0, 0.075, 0.1, 0.2], {"clipped_box": 1}, id="beyond the square"),
    ],
)
def test_boxes_are_counted_from_the_images_corner(
    box: list[float], expected: list[float] | None, defects: dict[str, int]
) -> None:
    """A 4 to 3 image in the middle of a square of side 1."""
    answer = parse_answer(graph_text([thing(bbox=box)], []), (1.0, 0.75), (0.0, 0.125))
    assert answer.graph.space_wh == (1.0, 0.75)
    assert answer.graph.boxes_xyxy.tolist() == ([] if expected is None else [pytest.approx(expected)])
    assert dict(answer.defects) == defects
