"""The names of rewards, which tasks each looks at, and where the user's own are: known without what computes them."""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Collection, Iterable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import get_args

from r1sgg_cli.config.schema import GRPORecipe, Task
from r1sgg_cli.errors import ConfigError

TASKS: tuple[Task, ...] = get_args(Task)

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

PUBLISHED = tuple(SCORED)[:6]
"""Those of the paper."""
WEIGHED = frozenset({"weighted_recall_reward"})
"""Those that need the weights of predicates (`predicate_weights`), which follow from a data set's statistics."""
SECONDARY = frozenset({"format_reward", "repetition_penalty_reward", "length_penalty_reward"})
"""What any answer in form, or a short one, earns: alone, they would teach a model to say next to nothing in form."""


def check_rewards(recipe: GRPORecipe, known: Collection[str] = SCORED) -> None:
    """Refuse a reward that there is not, and a task that none of them looks at. Raises `ConfigError`."""
    check_names(recipe.rewards, known)
    for task in recipe.tasks:
        if not any(task in SCORED.get(name, TASKS) for name in recipe.rewards if name not in SECONDARY):
            named = ", ".join(name for name, tasks in SCORED.items() if task in tasks and name not in SECONDARY)
            raise ConfigError(f"no reward of the recipe looks at what task `{task}` answers; name one of {named}")


def check_names(names: Iterable[str], known: Collection[str] = SCORED) -> None:
    """Refuse a reward that there is not; a function of the user's own must have its module. Raises `ConfigError`."""
    for name in names:
        if is_own(name):
            insist_on_module(name)
        elif name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{close[0]}`? " if close else ""
            raise ConfigError(
                f"no reward `{name}`; {hint}there are {', '.join(known)}, and your own as `module:function`"
            )


def needs_statistics(names: Iterable[str]) -> bool:
    """Whether one of these rewards weighs by how often predicates occur in training."""
    return not WEIGHED.isdisjoint(names)


def is_own(name: str) -> bool:
    """Whether a reward's name says where a function of the user's own is."""
    return ":" in name


def insist_on_module(name: str) -> None:
    """Refuse a reward whose module is not there; nothing of it is run. Raises `ConfigError`."""
    module, _, function = name.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), function)):
        raise ConfigError(f"`{name}` names no reward of your own; write `module:function`, as in `my_rewards:boldness`")
    _look_here()
    if not _is_there(module):
        raise ConfigError(
            f"reward `{name}`: no module `{module}` in `{Path.cwd()}`, nor installed; start in the folder that has "
            f"`{module.replace('.', '/')}.py`"
        )


def _look_here() -> None:
    """Let modules be found in the working folder, as `python -m` does and a console script does not."""
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)
    importlib.invalidate_caches()  # a module that was written a moment ago


def _is_there(module: str) -> bool:
    """Whether a module can be found; Python's own search for `package.module` would run the package."""
    if module in sys.modules:
        return True
    package, *parts = module.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # one that is loaded already and has no spec
        return False
    for part in parts:
        if spec is None or spec.submodule_search_locations is None:
            return False
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return spec is not None
