"""One answer, one ground truth, one value: what most tests of rewards need."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.scene_graph.similarity import Similarity, exact_similarity

Graph = Mapping[str, Sequence[Mapping[str, Any]]]
Rate = Callable[..., float | None]
PREDICATE_WEIGHTS = {"riding": 6.0, "standing on": 2.0}
"""What `weighted_recall_reward` weighs by; a column that others ignore."""


def rate_answer(
    name: str,
    answer: Graph | str,
    truth: Graph,
    *,
    space_wh: tuple[float, float] = (100, 100),
    image_wh: tuple[float, float] = (100, 100),
    similarity: Similarity = exact_similarity,
) -> float | None:
    """The value of the reward called `name`; a graph as answer is written as the prompt asks."""
    tagged = f"<think>I look.</think><answer>{json.dumps(answer)}</answer>"
    return REWARDS[name](
        [answer if isinstance(answer, str) else tagged],
        objects=[json.dumps(truth["objects"])],
        relationships=[json.dumps(truth["relationships"])],
        image_wh=[image_wh],
        box_space_wh=[space_wh],
        similarity=similarity,
        predicate_weights=PREDICATE_WEIGHTS,
    )[0]


@pytest.fixture
def rate() -> Rate:
    """`rate(name, answer, truth)`: the value of one answer."""
    return rate_answer


@pytest.fixture
def truth() -> dict[str, list[dict[str, Any]]]:
    """A man riding a horse in a field; a fresh copy, to be changed at will."""
    return {
        "objects": [
            {"id": "man.1", "bbox": [40, 10, 60, 50]},
            {"id": "horse.2", "bbox": [30, 40, 80, 90]},
            {"id": "field.3", "bbox": [0, 60, 100, 100]},
        ],
        "relationships": [
            {"subject": "man.1", "predicate": "riding", "object": "horse.2"},
            {"subject": "horse.2", "predicate": "standing on", "object": "field.3"},
        ],
    }
