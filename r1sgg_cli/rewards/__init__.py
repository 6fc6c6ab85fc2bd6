"""The reward functions by name: the published ones with the published weights, and those of later work.

On well-formed answers the published ones return what the published code returns; where that is wrong, they are right:
every item of an answer is judged by itself, labels are normalised on both sides, and what does not apply is `None`, not
0. They are recall only, and every predicate of a pair may find something. Those of later work let the first one
(`first_guesses`), and those of `f1` and `penalties` also count what is superfluous.
"""

import difflib
from collections.abc import Iterable

from r1sgg_cli.config.schema import GRPORecipe, Task
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.rewards.batch import TASKS, RewardFunction, reward_function
from r1sgg_cli.rewards.coverage import cluster_coverage_reward
from r1sgg_cli.rewards.edges import edge_hard_relax_reward, edge_hard_reward, edge_reward
from r1sgg_cli.rewards.f1 import edge_f1_reward, object_f1_reward
from r1sgg_cli.rewards.formats import format_reward
from r1sgg_cli.rewards.long_tail import mean_recall_reward, weighted_recall_reward
from r1sgg_cli.rewards.nodes import node_acc_reward, node_box_reward
from r1sgg_cli.rewards.own import insist_on_module, is_own
from r1sgg_cli.rewards.penalties import length_penalty_reward, repetition_penalty_reward

SCORED: dict[str, tuple[Task, ...]] = {
    "format_reward": TASKS,
    "node_acc_reward": ("sgg", "det"),
    "node_box_reward": ("sgg", "det"),
    "edge_reward": ("sgg", "cls"),
    "edge_hard_reward": ("sgg", "cls"),
    "edge_hard_relax_reward": ("sgg", "cls"),
    "object_f1_reward": ("sgg", "det"),
    "edge_f1_reward": ("sgg", "cls"),
    "mean_recall_reward": ("sgg", "cls"),
    "weighted_recall_reward": ("sgg", "cls"),
    "cluster_coverage_reward": ("sgg", "cls"),
    "repetition_penalty_reward": TASKS,
    "length_penalty_reward": TASKS,
}
"""The tasks that each reward applies to: objects that were given, or relationships not asked for, earn nothing."""

REWARDS: dict[str, RewardFunction] = {
    **{
        score.__name__: reward_function(score, SCORED[score.__name__])
        for score in (
            format_reward,
            node_acc_reward,
            node_box_reward,
            edge_reward,
            edge_hard_reward,
            edge_hard_relax_reward,
            object_f1_reward,
            edge_f1_reward,
            mean_recall_reward,
            cluster_coverage_reward,
            repetition_penalty_reward,
            length_penalty_reward,
        )
    },
    "weighted_recall_reward": weighted_recall_reward,  # type: ignore[dict-item]
}

PUBLISHED = tuple(SCORED)[:6]
"""Those of the paper."""
WEIGHED = frozenset({"weighted_recall_reward"})
"""Those that need the weights of predicates (`predicate_weights`), which follow from a data set's statistics."""
SECONDARY = frozenset({"format_reward", "repetition_penalty_reward", "length_penalty_reward"})
"""What any answer in form, or a short one, earns: alone, they would teach a model to say next to nothing in form."""


def check_rewards(recipe: GRPORecipe) -> None:
    """Refuse a reward that there is not, and a task that none of them looks at. Raises `ConfigError`."""
    check_names(recipe.rewards)
    for task in recipe.tasks:
        if not any(task in SCORED.get(name, TASKS) for name in recipe.rewards if name not in SECONDARY):
            named = ", ".join(name for name, tasks in SCORED.items() if task in tasks and name not in SECONDARY)
            raise ConfigError(f"no reward of the recipe looks at what task `{task}` answers; name one of {named}")


def check_names(names: Iterable[str]) -> None:
    """Refuse a reward that there is not; a function of the user's own must have its module. Raises `ConfigError`."""
    for name in names:
        if is_own(name):
            insist_on_module(name)
        elif name not in REWARDS:
            close = difflib.get_close_matches(name, REWARDS, n=1)
            hint = f"did you mean `{close[0]}`? " if close else ""
            raise ConfigError(
                f"no reward `{name}`; {hint}there are {', '.join(REWARDS)}, and your own as `module:function`"
            )


def needs_statistics(names: Iterable[str]) -> bool:
    """Whether one of these rewards weighs by how often predicates occur in training."""
    return not WEIGHED.isdisjoint(names)
