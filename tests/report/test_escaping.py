"""Names that try to be more than text."""

import pytest

from r1sgg_cli.report.escaping import escape_latex, escape_markdown


@pytest.mark.parametrize(
    ("text", "latex", "markdown"),
    [
        pytest.param("runs/a_b", r"runs/a\_b", r"runs/a\_b", id="underscore"),
        pytest.param("50 % & $5 #1", r"50 \% \& \$5 \#1", r"50 % &amp; \$5 \#1", id="signs"),
        pytest.param(r"\input{x}", r"\textbackslash{}input\{x\}", r"\\input{x}", id="command"),
        pytest.param("a|b", r"a\textbar{}b", r"a\|b", id="column"),
        pytest.param("<img onerror=x>", r"\textless{}img onerror=x\textgreater{}", "&lt;img onerror=x&gt;", id="HTML"),
        pytest.param("[a](b) `c` *d*", "[a](b) `c` *d*", r"\[a\](b) \`c\` \*d\*", id="markup"),
        pytest.param("two\nlines\t\x1b[1m", "two lines [1m", r"two lines \[1m", id="control"),
        pytest.param("~^", r"\textasciitilde{}\textasciicircum{}", r"\~^", id="accents"),
    ],
)
def test_a_name_is_printed_as_it_is(text: str, latex: str, markdown: str) -> None:
    assert (escape_latex(text), escape_markdown(text)) == (latex, markdown)
