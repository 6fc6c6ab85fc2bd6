"""Where the answer stands in what a model wrote.

1. If `</think>` is followed, blanks aside, by `<answer>`, the answer begins there.
2. Otherwise thinking is taken out first: from `<think>` (or, without one, from the start) to `</think>`. Thinking that
   never closes hides everything up to an `<answer>` tag. What is written while thinking, tags included, never counts.
3. In what is left, the answer begins after the first `<answer>`; without that tag it is all of the rest.
4. It ends at the next `</answer>`, or with the text. Tags are lower case.
"""

import re
from typing import NamedTuple

_OPENING = re.compile(r"</think>\s*<answer>")


class AnswerPassage(NamedTuple):
    """The part of a text that should be JSON, perhaps between code fences and among prose."""

    text: str
    tagged: bool
    """The whole text is `<think>…</think><answer>…</answer>`."""
    unfinished: bool
    """The text ended while the model was still thinking."""


def find_answer(text: str) -> AnswerPassage:
    """The passage of the answer, by the rules above."""
    text = text.strip()
    opening = _OPENING.search(text)
    if opening is not None:
        start = opening.end()
        end = text.find("</answer>", start)
        if end < 0:
            return AnswerPassage(text[start:], False, False)
        tagged = text.startswith("<think>") and text.endswith("</answer>")
        return AnswerPassage(text[start:end], tagged, False)
    spoken, unfinished = _without_thinking(text)
    before, tag, after = spoken.partition("<answer>")
    return AnswerPassage(after.partition("</answer>")[0] if tag else before, False, unfinished)


def _without_thinking(text: str) -> tuple[str, bool]:
    """The text less its thinking, and whether it ends while thinking."""
    start, end = text.find("<think>"), text.find("</think>")
    if end >= 0:
        return text[: start if 0 <= start < end else 0] + text[end + len("</think>") :], False
    if start < 0:
        return text, False
    answer = text.find("<answer>", start)
    return (text[:start], True) if answer < 0 else (text[:start] + text[answer:], False)
