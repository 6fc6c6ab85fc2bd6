"""What a user can get wrong, each with the way out.

    R1SGGError
    ├── ConfigError    a recipe, a preset or a `--set` that cannot be used
    ├── DataError      a data set, an annotation file or a row that is not what it should be
    ├── ModelError     a path that holds no checkpoint, a family that is not supported
    ├── AnswersError   a folder of answers or a predictions file that cannot be read
    ├── LaunchError    a job that cannot be written down, or that the queue refuses
    └── OutputError    a place that cannot be written, a disk that is full

Each message is one line: what happened, with the value, and what to do about it. `__main__` prints it and exits
with code 1. Whatever is not an `R1SGGError` is a bug and keeps its traceback. A model's answer is data, never a
user's mistake: `scene_graph.parse.ParseError` stands outside this tree.
"""

import json
import os

NOT_JSON = (ValueError, RecursionError)
"""What `json.loads` raises: no UTF-8, no JSON, a number of thousands of digits, lists in lists without an end."""
MALFORMED = (*NOT_JSON, KeyError, TypeError, AttributeError, OverflowError)
"""What also comes up where a file that may hold anything is read as the one it should be."""


class R1SGGError(Exception):
    """A mistake that the user can mend; the message is one line that says how."""


class ConfigError(R1SGGError):
    """A recipe, a preset or an override that cannot be used."""


class DataError(R1SGGError):
    """A data set, an annotation file or a row that is not what it should be."""


class ModelError(R1SGGError):
    """A path that holds no checkpoint, or a model family that is not supported."""


class AnswersError(R1SGGError):
    """A folder of answers or a predictions file that cannot be read."""


class LaunchError(R1SGGError):
    """A job that cannot be written down, or that the queue refuses."""


class OutputError(R1SGGError):
    """A place that cannot be written."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing: what one line of ours can quote."""
    return (str(error).strip() or repr(error)).splitlines()[0]


def in_words(error: BaseException) -> str:
    """What is wrong with a file over which this was raised; what Python says of keys and types means nothing to users.

    Errors of this program's own say it themselves, and are a `ValueError` wherever they do.
    """
    match error:
        case KeyError():
            return f"`{error.args[0]}` is missing"
        case IndexError():
            return "a list is too short"
        case TypeError() | AttributeError():
            return "a value is of another type than it should be"
        case OverflowError():
            return "a number is too large"
        case RecursionError():
            return "it holds lists in lists without an end"
        case UnicodeError():
            return "it is not text in UTF-8"
        case json.JSONDecodeError():
            return f"it is not JSON ({error})"
        case OSError():
            return error.strerror or first_line(error)
        case _:
            return first_line(error)


def why_unfetched(error: BaseException) -> str:
    """The first line of an error over a name on the hub, and the way out where the hub may not be asked at all."""
    switches = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
    set_ones = [f"`{name}`" for name in switches if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")]
    reason = first_line(error)
    if not set_ones:
        return reason
    return f"{reason.rstrip('.')}; the hub is not asked ({', '.join(set_ones)}): unset that, or give a local folder"
