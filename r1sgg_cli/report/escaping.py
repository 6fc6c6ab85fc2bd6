"""Names from a model, a data set or a path as plain text of LaTeX and of Markdown."""

import re

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{sign: f"{{{sign}}}" for sign in "[]*"},  # what would begin an argument of a row's end
}
_MARKDOWN_SIGN = re.compile(r"([\\`*_\[\]|~#!$])")
_HTML_SIGNS = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape_latex(text: str) -> str:
    """`text` on one line, every sign that LaTeX would read as a command printed as itself."""
    return "".join(_LATEX.get(sign, sign) for sign in _one_line(text))


def escape_markdown(text: str) -> str:
    """`text` on one line, fit for a table's cell, without markup, HTML or links."""
    plain = _MARKDOWN_SIGN.sub(r"\\\1", _one_line(text))
    return "".join(_HTML_SIGNS.get(sign, sign) for sign in plain)


def _one_line(text: str) -> str:
    """Without line breaks and control characters."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
