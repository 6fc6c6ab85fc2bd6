"""Head, body and tail."""

from collections import Counter

import pytest

from r1sgg_cli.metrics.predicate_groups import predicate_groups
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary


@pytest.mark.parametrize(
    ("num_predicates", "sizes"),
    [
        pytest.param(50, (16, 17, 17), id="VG150"),
        pytest.param(56, (18, 19, 19), id="PSG"),
        pytest.param(3, (1, 1, 1), id="three"),
        pytest.param(2, (0, 1, 1), id="two"),
        pytest.param(0, (0, 0, 0), id="none"),
    ],
)
def test_groups_are_thirds_by_rank(num_predicates: int, sizes: tuple[int, int, int]) -> None:
    counts = {f"p{number:02}": 1000 - number for number in range(num_predicates)}
    groups = predicate_groups(reversed(counts), counts)
    found = Counter(groups.values())
    assert (found["head"], found["body"], found["tail"]) == sizes
    assert list(groups) == list(counts)


def test_what_training_never_showed_is_in_the_tail() -> None:
    predicates = load_vocabulary("vg150").predicates
    counts = {name: 7 for name in predicates if name != "above"}
    assert predicate_groups(predicates, counts)["above"] == "tail"
