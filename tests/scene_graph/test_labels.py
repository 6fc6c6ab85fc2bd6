"""One normal form for labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.scene_graph.labels import normalise_label, object_name, written_name


@pytest.mark.parametrize(
    ("label", "normal"),
    [
        pytest.param("Sky-other_merged ", "sky other merged", id="hyphen, underscore, case"),
        pytest.param(" in  front\tof\n", "in front of", id="blanks"),
        pytest.param("-", "", id="nothing left"),
    ],
)
def test_label_has_one_normal_form(label: str, normal: str) -> None:
    assert normalise_label(label) == normal


@given(st.text())
def test_normal_form_is_final(label: str) -> None:
    assert normalise_label(normalise_label(label)) == normalise_label(label)


@pytest.mark.parametrize(
    ("object_id", "name"),
    [
        pytest.param("person.1", "person", id="published form"),
        pytest.param("traffic-light.12", "traffic light", id="hyphen"),
        pytest.param("man .1", "man", id="blank before the dot"),
        pytest.param("chair.1\n", "chair", id="line break"),
        pytest.param("person", "person", id="no number"),
        pytest.param("st.bernard", "st.bernard", id="dot in the name"),
        pytest.param("st.bernard.3", "st.bernard", id="dot in the name and a number"),
        pytest.param("", "", id="empty"),
    ],
)
def test_name_is_the_id_less_its_number(object_id: str, name: str) -> None:
    assert object_name(object_id) == name


@pytest.mark.parametrize(
    ("object_id", "name"), [("Traffic-light.12", "Traffic-light"), ("St.Bernard", "St.Bernard"), ("7", "7")]
)
def test_a_written_name_keeps_its_case_and_hyphens(object_id: str, name: str) -> None:
    assert written_name(object_id) == name
