"""Rewards of the user's own kind that a random model can earn."""

import json
from typing import Any

TOKEN_REWARD = f"{__name__}:token_reward"
ROW_REWARD = f"{__name__}:row_reward"
BY_TOKENS = f"rewards={{{TOKEN_REWARD}: 1}}"
"""The override that lets a recipe use nothing else."""


def token_reward(completions: list[Any], completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
    """Mean token id of an answer: differs between any two answers."""
    return [sum(ids) / len(ids) for ids in completion_ids]


def row_reward(completions: list[Any], objects: list[str], **columns: Any) -> list[float | None]:
    """A number that tells which row was asked, whatever the answer."""
    return [sum(sum(item["bbox"]) for item in json.loads(text)) for text in objects]
