"""A reward that a random model can earn; run as a module, it is `r1sgg` with that reward."""

from typing import Any

from r1sgg_cli.__main__ import main
from r1sgg_cli.rewards import REWARDS


def length_reward(completions: list[Any], completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
    """Number of different tokens in an answer."""
    return [float(len(set(ids))) for ids in completion_ids]


if __name__ == "__main__":
    REWARDS["length_reward"] = length_reward  # type: ignore[assignment]
    main()
