"""What one line of ours quotes of another library's error."""

import pytest

from r1sgg_cli.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        pytest.param(OSError("no such file"), "no such file", id="one line"),
        pytest.param(ValueError("\n first\nsecond\n"), "first", id="several lines"),
        pytest.param(ValueError(), "ValueError()", id="nothing"),
        pytest.param(ValueError(" \n"), "ValueError(' \\n')", id="blanks"),
    ],
)
def test_an_error_is_quoted_with_its_first_line_or_its_kind(error: Exception, line: str) -> None:
    assert first_line(error) == line
