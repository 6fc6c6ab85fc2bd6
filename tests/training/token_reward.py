"""Rewards that a random model can earn; run as a module, it is `r1sgg` with those rewards."""

import json
from typing import Any

from r1sgg_cli.__main__ import main
from r1sgg_cli.rewards import REWARDS


def token_reward(completions: list[Any], completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
    """Mean token id of an answer: differs between any two answers."""
    return [sum(ids) / len(ids) for ids in completion_ids]


def row_reward(completions: list[Any], objects: list[str], **columns: Any) -> list[float | None]:
    """A number that tells which row was asked, whatever the answer."""
    return [sum(sum(item["bbox"]) for item in json.loads(text)) for text in objects]


if __name__ == "__main__":
    REWARDS["token_reward"] = token_reward  # type: ignore[assignment]
    REWARDS["row_reward"] = row_reward  # type: ignore[assignment]
    main()
