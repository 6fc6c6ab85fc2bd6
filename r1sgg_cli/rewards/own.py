"""Rewards of the user's own, named `module:function`: any function with TRL's signature.

The function is called with `completions` and every other column of `batch.RewardFunction` by keyword, and returns one
value for each completion, `None` where it does not apply:

    def boldness(completions, relationships, **columns):
        return [float(len(completion[-1]["content"])) for completion in completions]

The module is looked for in the working folder first. Every process of a run works in the folder from which the run was
started, on a cluster as well.
"""

import difflib
import hashlib
import importlib
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from r1sgg_cli.config.reward_names import insist_on_module, is_own
from r1sgg_cli.errors import ConfigError, first_line
from r1sgg_cli.rewards.batch import Completion, RewardFunction


def own_reward(name: str) -> RewardFunction:
    """The function called `module:function`, whose values are checked. Raises `ConfigError`."""
    function = _function(name)

    def reward(completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        given: dict[str, Any] = {"completions": completions, **columns}
        try:
            inspect.signature(function).bind(**given)
        except TypeError as error:
            raise ConfigError(
                f"reward `{name}` cannot be called with {', '.join(given)} ({first_line(error)}); let it take "
                "`completions` and `**columns`"
            ) from error
        return _checked(name, function(**given), len(completions))

    reward.__name__ = name
    reward.__doc__ = function.__doc__
    return reward


def own_fingerprints(names: Iterable[str]) -> dict[str, str]:
    """16 hex digits over the source file of each reward's module, of those that are the user's own.

    A function that was changed is another reward, and a run that learned from it another run.
    """
    return {name: _fingerprint(name) for name in sorted(names) if is_own(name)}


def _function(name: str) -> Callable[..., Any]:
    module_name, _, function_name = name.partition(":")
    module = _imported(name, module_name)
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        close = difflib.get_close_matches(function_name, known, n=1)
        hint = f"did you mean `{module_name}:{close[0]}`?" if close else f"it has {', '.join(known) or 'none'}"
        raise ConfigError(f"reward `{name}`: `{module_name}` has no function `{function_name}`; {hint}")
    return function


def _imported(name: str, module_name: str) -> ModuleType:
    insist_on_module(name)
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            f"reward `{name}`: `{module_name}` cannot be imported ({first_line(error)}); mend it, or install what it "
            "needs"
        ) from error


def _fingerprint(name: str) -> str:
    module_name = name.partition(":")[0]
    source = getattr(_imported(name, module_name), "__file__", None)
    content = Path(source).read_bytes() if source else module_name.encode()  # a built-in one is Python's own
    return hashlib.sha256(content).hexdigest()[:16]


def _checked(name: str, values: Any, num_completions: int) -> list[float | None]:
    """The values, one for each completion, as numbers that a trainer can use. Raises `ConfigError`."""
    is_list = isinstance(values, Sequence) and not isinstance(values, str)
    if not is_list or len(values) != num_completions:
        number = f"{len(values)} values" if is_list else f"a {type(values).__name__}"
        raise ConfigError(
            f"reward `{name}` returned {number} for {num_completions} completions; return a list of one value each"
        )
    return [None if value is None else _number(name, value, position) for position, value in enumerate(values)]


def _number(name: str, value: Any, position: int) -> float:
    try:
        number = None if isinstance(value, str | bytes) else float(value)  # Python would take "1.0", a mistake
    except (TypeError, ValueError):
        number = None
    if number is None:
        raise ConfigError(
            f"reward `{name}` returned {value!r:.40} for completion {position}; return a number, or None where it does "
            "not apply"
        )
    if not math.isfinite(number):
        raise ConfigError(
            f"reward `{name}` returned {number} for completion {position}; return None where it does not apply"
        )
    return number
