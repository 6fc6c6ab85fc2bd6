"""The reward functions by their published names, with the published weights (at most 1, 2, 2, 5, 5, 5).

On well-formed answers they return what the published code returns; where that is wrong, they are right: every item of
an answer is judged by itself, labels are normalised on both sides, and what does not apply is `None`, not 0.
"""

import difflib

from r1sgg_cli.config.schema import GRPORecipe, Task
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.rewards.batch import TASKS, RewardFunction, reward_function
from r1sgg_cli.rewards.edges import edge_hard_relax_reward, edge_hard_reward, edge_reward
from r1sgg_cli.rewards.formats import format_reward
from r1sgg_cli.rewards.nodes import node_acc_reward, node_box_reward

SCORED: dict[str, tuple[Task, ...]] = {
    "format_reward": TASKS,
    "node_acc_reward": ("sgg", "det"),
    "node_box_reward": ("sgg", "det"),
    "edge_reward": ("sgg", "cls"),
    "edge_hard_reward": ("sgg", "cls"),
    "edge_hard_relax_reward": ("sgg", "cls"),
}
"""The tasks that each reward applies to: objects that were given, or relationships not asked for, earn nothing."""

REWARDS: dict[str, RewardFunction] = {
    score.__name__: reward_function(score, SCORED[score.__name__])
    for score in (
        format_reward,
        node_acc_reward,
        node_box_reward,
        edge_reward,
        edge_hard_reward,
        edge_hard_relax_reward,
    )
}

FORM = "format_reward"
"""The reward that any answer in form earns: alone, it would teach a model to say next to nothing in form."""


def check_rewards(recipe: GRPORecipe) -> None:
    """Refuse a reward that there is not, and a task that none of them looks at. Raises `ConfigError`."""
    for name in recipe.rewards:
        if name not in REWARDS:
            close = difflib.get_close_matches(name, REWARDS, n=1)
            hint = f"did you mean `{close[0]}`? " if close else ""
            raise ConfigError(f"no reward `{name}`; {hint}there are {', '.join(REWARDS)}")
    for task in recipe.tasks:
        if not any(task in SCORED.get(name, TASKS) for name in recipe.rewards if name != FORM):
            named = ", ".join(name for name, tasks in SCORED.items() if task in tasks and name != FORM)
            raise ConfigError(f"no reward of the recipe looks at what task `{task}` answers; name one of {named}")
