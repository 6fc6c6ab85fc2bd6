"""What differs between two records, in words."""

from r1sgg_cli.config.differences import differences


def test_each_key_that_differs_is_a_phrase() -> None:
    old, new = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4, "d": 3}, "e": None}
    assert differences(old, new) == ["a: 1 there, None here", "b.c: 2 there, 4 here"]


def test_keys_that_are_ignored_are_so_at_any_depth() -> None:
    assert differences({"a": {"b": 1}}, {"a": {"b": 2}}, ignored=frozenset({"b"})) == []


def test_the_two_sides_have_the_names_they_are_given() -> None:
    assert differences({"a": 1}, {"a": 2}, ("in training", "here")) == ["a: 1 in training, 2 here"]
