"""What one line of ours quotes of another library's error."""

import pytest

from r1sgg_cli.errors import first_line, why_unfetched


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


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        pytest.param({}, "not in the cache.", id="online"),
        pytest.param({"HF_HUB_OFFLINE": "0"}, "not in the cache.", id="switched on"),
        pytest.param(
            {"HF_HUB_OFFLINE": "1"},
            "not in the cache; the hub is not asked (`HF_HUB_OFFLINE`): unset that, or give a local folder",
            id="offline",
        ),
        pytest.param(
            {"HF_HUB_OFFLINE": "true", "HF_DATASETS_OFFLINE": "1"},
            "not in the cache; the hub is not asked (`HF_HUB_OFFLINE`, `HF_DATASETS_OFFLINE`): unset that, or give a "
            "local folder",
            id="offline twice",
        ),
    ],
)
def test_a_hub_that_may_not_be_asked_is_said(
    switches: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in switches.items():
        monkeypatch.setenv(name, value)
    assert why_unfetched(OSError("not in the cache.\nlong advice")) == said
