"""The page is one safe, well-formed file; a real browser renders it without a request or a complaint."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.errors import OutputError
from r1sgg_cli.report.curves import Curve, Series
from r1sgg_cli.report.page import write_run_page
from r1sgg_cli.report.stages import Stage, recall_gain
from tests.report.chromium import Page
from tests.report.conftest import make_graph, make_stage
from tests.report.outline import Outline

HOSTILE = '"><img src=x onerror="document.title=1"><script>document.title=2</script>&lt;{{ 7*7 }}'


def write(path: Path, stages: Sequence[Stage], curves: Sequence[Curve], image_of: Callable[[str], Image.Image]) -> Path:
    gain = recall_gain(stages, stages[-2].name, stages[-1].name)
    commands = ["r1sgg prepare synthetic --out data", "r1sgg eval 'preds & more.json'"]
    write_run_page(path, title="A run", stages=stages, gain=gain, curves=curves, image_of=image_of, commands=commands)
    return path


@pytest.fixture(scope="module")
def run_page(
    tmp_path_factory: pytest.TempPathFactory,
    stages: list[Stage],
    curves: list[Curve],
    image_of: Callable[[str], Image.Image],
) -> Path:
    return write(tmp_path_factory.mktemp("page") / "run.html", stages, curves, image_of)


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page in which everything that comes from data or a model tries to be markup."""
    graph = make_graph([HOSTILE, "cat"], [[0, 0, 50, 50], [50, 50, 90, 90]], [(0, HOSTILE, 1)])
    answered = ImagePrediction(HOSTILE, (100, 100), graph, graph, None, {HOSTILE: 1}, HOSTILE + "\0\x1b\ud800")
    failed = ImagePrediction("z", (100, 100), graph, None, HOSTILE, {}, "</pre>" + HOSTILE)
    stages = [make_stage(name, [answered, failed]) for name in (HOSTILE, "after")]
    curve = Curve(HOSTILE, HOSTILE, HOSTILE, (Series(HOSTILE, ((0, 1.0), (1, 2.0))),))
    path = tmp_path_factory.mktemp("hostile") / "run.html"
    return write(path, stages, [curve], lambda _: Image.new("RGB", (100, 100)))


def test_tags_are_balanced_and_references_resolve(run_page: Path) -> None:
    outline = Outline(run_page.read_text(encoding="utf-8"))
    ids = outline.values("id")
    assert outline.stack == []
    assert len(ids) == len(set(ids))
    assert {value.removeprefix("#") for value in outline.values("href") if value.startswith("#")} <= set(ids)
    assert {word for value in outline.values("aria-labelledby") for word in value.split()} <= set(ids)


def test_nothing_points_outside_the_file(run_page: Path) -> None:
    html = run_page.read_text(encoding="utf-8")
    assert all(value.startswith(("#", "data:")) for value in Outline(html).values("href", "src"))
    assert not re.search(r"url\(|@import|<script|https?://", html)


def test_a_photo_is_stored_once_however_many_panels_show_it(run_page: Path) -> None:
    outline = Outline(run_page.read_text(encoding="utf-8"))
    photos = [value for value in outline.values("href") if value.startswith("data:image/")]
    uses = [value for tag, name, value in outline.attributes if tag == "use" and name == "href"]
    assert 6 < len(photos) <= 12
    assert len(uses) == 4 * len(photos)


def test_the_page_tells_numbers_rules_commands_and_provenance(run_page: Path) -> None:
    text = Outline(run_page.read_text(encoding="utf-8")).text
    for words in (
        "Triplet recall rose from",
        "What got worse (after SFT → after GRPO): triplet precision",
        "images without a readable graph / all 40 images",
        "Spaced evenly over all held-out images",
        "✓ matched",
        "✗ no graph",
        "r1sgg eval 'preds & more.json'",
        "runs/demo/after-GRPO",
    ):
        assert words in text, words


def test_labels_answers_and_names_stay_text(hostile_page: Path) -> None:
    outline = Outline(hostile_page.read_text(encoding="utf-8"))
    assert not {tag for tag, _, _ in outline.attributes} & {"img", "script"}
    assert not [name for _, name, _ in outline.attributes if name.startswith("on")]
    assert outline.stack == []
    assert outline.text.count(HOSTILE) > 8


def test_characters_that_html_forbids_are_replaced(hostile_page: Path) -> None:
    assert HOSTILE + "\ufffd" * 3 in Outline(hostile_page.read_text(encoding="utf-8")).text


def test_a_curve_without_values_says_so(
    tmp_path: Path, stages: list[Stage], image_of: Callable[[str], Image.Image]
) -> None:
    page = write(tmp_path / "run.html", stages, [Curve("loss", "step", "nats", ())], image_of)
    assert "no finite value was logged" in page.read_text(encoding="utf-8")


def test_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, stages: list[Stage], image_of: Callable[[str], Image.Image]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/run\.html"):
        write(tmp_path / "file" / "run.html", stages, [], image_of)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280], ids=["phone", "desktop"])
def test_a_browser_shows_it_without_a_complaint_or_a_request(
    browser: Page, run_page: Path, width: int, dark: bool
) -> None:
    browser.open(run_page, width=width, dark=dark)
    assert browser.console() == []
    assert [url for url in browser.requested() if not url.startswith("data:")] == [run_page.as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    red = browser.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] | 0")
    assert red < 60 if dark else red > 200
    assert browser.evaluate("document.querySelector('.photo use').getBoundingClientRect().width") > 200


def test_whatever_scrolls_can_be_reached_by_keyboard(browser: Page, run_page: Path) -> None:
    browser.open(run_page, width=400, dark=False)
    scrolling = (
        "[...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1 &&"
        " getComputedStyle(e).overflowX === 'auto' && !e.closest('details'))"
    )
    assert browser.evaluate(f"{scrolling}.length") > 0
    assert browser.evaluate(f"{scrolling}.filter(e => e.tabIndex < 0).length") == 0


def test_hostile_text_does_nothing_in_a_browser(browser: Page, hostile_page: Path) -> None:
    browser.open(hostile_page, width=1280, dark=False)
    assert browser.console() == []
    assert browser.evaluate("document.title") == "A run"
    assert browser.evaluate("document.querySelectorAll('img, script, [onerror]').length") == 0
    assert [url for url in browser.requested() if not url.startswith("data:")] == [hostile_page.as_uri()]
