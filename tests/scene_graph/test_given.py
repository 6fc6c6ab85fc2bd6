"""An answer that lists relationships only, between objects that were given in the prompt."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.scene_graph.graph import graph_from_rows
from r1sgg_cli.scene_graph.parse import ParseError, parse_answer

SPACE = (1000.0, 1000.0)
OBJECTS = [{"id": "man.1", "bbox": [1, 2, 3, 4]}, {"id": "dog.2", "bbox": [5, 6, 7, 8]}]
GIVEN = graph_from_rows(OBJECTS, [{"subject": "man.1", "predicate": "on", "object": "dog.2"}], SPACE)
LINK = '{"subject": "dog.2", "predicate": "Near", "object": "man.1"}'


@pytest.mark.parametrize(
    ("text", "num_read", "defects"),
    [
        pytest.param(f'{{"relationships": [{LINK}]}}', 1, {}, id="as asked"),
        pytest.param(f'```json\n{{"relationships": [{LINK}]}}\n```', 1, {}, id="fence"),
        pytest.param('{"relationships": []}', 0, {}, id="empty"),
        pytest.param(f'{{"objects": [{{"id": "x"}}], "relationships": [{LINK}]}}', 1, {}, id="objects are not read"),
        pytest.param(f'So: {{"relationships": [{LINK}]}}', 1, {"prose": 1}, id="prose"),
        pytest.param(f'{{"a": 1}} {{"relationships": [{LINK}]}}', 1, {"prose": 1}, id="not the first JSON"),
        pytest.param(f'{{"relationships": [{LINK}, {{"subject": "do', 1, {"truncated": 1}, id="cut off"),
        pytest.param(
            f'{{"relationships": [{LINK}, {{oh}}, {LINK}]}}',
            2,
            {"broken_json": 1, "repeated_relationship": 1},
            id="broken item",
        ),
        pytest.param(f'{{"relationships": [{LINK}] "objects": []}}', 1, {"broken_json": 1}, id="comma missing"),
        pytest.param(
            '{"relationships": [{"subject": "cat.3", "predicate": "on", "object": "man.1"}]}',
            0,
            {"dangling_relationship": 1},
            id="id that was not given",
        ),
    ],
)
def test_relationships_between_given_objects(text: str, num_read: int, defects: dict[str, int]) -> None:
    answer = parse_answer(text, SPACE, given=GIVEN)
    assert (answer.graph.ids, answer.graph.boxes_xyxy.tolist()) == (GIVEN.ids, GIVEN.boxes_xyxy.tolist())
    assert len(answer.graph.triplets) == num_read
    assert set(answer.graph.triplets) <= {(1, "near", 0)}
    assert answer.defects == defects


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("nothing", "no_json"),
        ('{"objects": []}', "not_a_graph"),
        ('{"relat', "truncated"),
        ("<think>still", "truncated"),
    ],
)
def test_no_relationships_can_be_read(text: str, kind: str) -> None:
    with pytest.raises(ParseError) as raised:
        parse_answer(text, SPACE, given=GIVEN)
    assert raised.value.kind == kind


@given(text=st.text() | st.text(alphabet='{}[]":, relationships'))
def test_no_text_raises_anything_else_where_objects_are_given(text: str) -> None:
    with suppress(ParseError):
        parse_answer(text, SPACE, given=GIVEN)
