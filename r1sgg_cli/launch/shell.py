"""Words of generated shell: every value is quoted; only what is marked is expanded, and only in the job."""

import re
import shlex
from collections.abc import Iterable

_NAME = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


class Expanded(str):
    """Shell text that the job expands, as it stands."""

    __slots__ = ()


def quoted(word: str) -> str:
    """One word for the shell, whatever it holds."""
    return word if isinstance(word, Expanded) else shlex.quote(word)


def command_line(words: Iterable[str]) -> str:
    """A command for the shell."""
    return " ".join(quoted(word) for word in words)


def looked_up(text: str) -> Expanded:
    """A word in which `$NAME`, `${NAME}` and a leading `~/` are looked up in the job, and nothing else is."""
    if text.startswith("~/"):
        text = f"$HOME{text[1:]}"
    pieces, end = [], 0
    for match in _NAME.finditer(text):
        pieces += [shlex.quote(text[end : match.start()])] * (match.start() > end)
        pieces.append(f'"${{{match[1] or match[2]}:?}}"')
        end = match.end()
    pieces += [shlex.quote(text[end:])] * (end < len(text))
    return Expanded("".join(pieces))
