"""A reward that a random model can earn; run as a module, it is `r1sgg` with that reward."""

from typing import Any

from r1sgg_cli.__main__ import main
from r1sgg_cli.rewards import REWARDS


def token_reward(completions: list[Any], completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
    """Mean token id of an answer: differs between any two answers."""
    return [sum(ids) / len(ids) for ids in completion_ids]


if __name__ == "__main__":
    REWARDS["token_reward"] = token_reward  # type: ignore[assignment]
    main()
