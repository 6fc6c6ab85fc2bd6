"""Names that try to be more than text."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from r1sgg_cli.report.escaping import escape_latex, escape_markdown


@pytest.mark.parametrize(
    ("text", "latex", "markdown"),
    [
        pytest.param("runs/a_b", r"runs/a\_b", r"runs/a\_b", id="underscore"),
        pytest.param("50 % & $5 #1", r"50 \% \& \$5 \#1", r"50 % &amp; \$5 \#1", id="signs"),
        pytest.param(r"\input{x}", r"\textbackslash{}input\{x\}", r"\\input{x}", id="command"),
        pytest.param("a|b", r"a\textbar{}b", r"a\|b", id="column"),
        pytest.param("<img onerror=x>", r"\textless{}img onerror=x\textgreater{}", "&lt;img onerror=x&gt;", id="HTML"),
        pytest.param("[a](b) `c` *d*", "{[}a{]}(b) `c` {*}d{*}", r"\[a\](b) \`c\` \*d\*", id="markup"),
        pytest.param("two\nlines\t\x1b[1m", "two lines {[}1m", r"two lines \[1m", id="control"),
        pytest.param("~^", r"\textasciitilde{}\textasciicircum{}", r"\~^", id="accents"),
    ],
)
def test_a_name_is_printed_as_it_is(text: str, latex: str, markdown: str) -> None:
    assert (escape_latex(text), escape_markdown(text)) == (latex, markdown)


@given(st.text(max_size=40) | st.text(r"\\|`*_[]()<>&~#!$-:. a1", max_size=40))
def test_any_text_in_a_cell_of_a_markdown_table_reads_as_itself(text: str) -> None:
    page = (
        MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .render(f"| a | b |\n|---|---|\n| {escape_markdown(text)} | 1 |")
    )
    first, second = re.findall(r"<td>(.*?)</td>", page, re.DOTALL)
    assert html.unescape(first) == " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    assert second == "1"


@given(st.text(max_size=40))
def test_any_text_in_latex_is_on_one_line_without_a_bare_sign(text: str) -> None:
    escaped = escape_latex(text)
    bare = re.sub(r"\\(text\w+\{\}|[&%$#_{}])|\{[\[\]*]\}", "", escaped)
    assert not re.search(r"[\\&%$#_{}~^\[\]*\n\r]", bare)
