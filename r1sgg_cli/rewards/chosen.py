"""The rewards that a recipe or a user names, ready to be called with a batch: what training and `score` share."""

from collections.abc import Iterable, Mapping
from functools import partial, update_wrapper
from typing import Any

from r1sgg_cli.config.reward_names import WEIGHED, check_names, is_own
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.rewards.batch import RewardFunction
from r1sgg_cli.rewards.long_tail import weights_by_rarity
from r1sgg_cli.rewards.own import own_reward
from r1sgg_cli.scene_graph.similarity import Similarity


def chosen_rewards(
    names: Iterable[str], similarity: Similarity, predicate_counts: Mapping[str, int] | None
) -> list[RewardFunction]:
    """The rewards of these names under these names, with label similarity and the predicates' weights filled in.

    `predicate_counts` says how often each occurs in training; None will do where `needs_statistics` says no. Raises
    `ConfigError`.
    """
    names = list(names)
    check_names(names, REWARDS)
    options: dict[str, Any] = {"similarity": similarity}
    weights = None if predicate_counts is None else weights_by_rarity(predicate_counts)

    def bound(name: str) -> RewardFunction:
        if is_own(name):
            return own_reward(name)
        reward: Any = REWARDS[name]
        more = {"predicate_weights": weights} if name in WEIGHED else {}
        return update_wrapper(partial(reward, **options, **more), reward)

    assert weights is not None or WEIGHED.isdisjoint(names), names
    return [bound(name) for name in names]
