"""The page of a data set is one safe, well-formed file; a real browser renders it without a request or a complaint."""

import io
import re
from pathlib import Path

import pytest
from datasets import Dataset

from r1sgg_cli.data.rows import FEATURES, Row, load_splits, make_row
from r1sgg_cli.errors import DataError
from r1sgg_cli.report.view import MARK, indices_of, sample_indices, write_view_page
from r1sgg_cli.scene_graph.graph import SceneGraph
from tests.report.chromium import Page
from tests.report.conftest import VOCABULARY, draw, make_graph
from tests.report.outline import Outline

HOSTILE = '"><img src=x onerror="document.title=1"><script>document.title=2</script>&lt;{{ 7*7 }}'


def row_of(image_id: str, graph: SceneGraph) -> Row:
    buffer = io.BytesIO()
    draw(make_graph([], [], [])).save(buffer, "PNG")
    return make_row(image_id, buffer.getvalue(), graph)


def split_of(*rows: Row) -> Dataset:
    return Dataset.from_list([dict(row) for row in rows], features=FEATURES)


def write(path: Path, splits: dict[str, Dataset], title: str = "A set") -> Path:
    chosen = sample_indices(splits, 8, seed=0)
    write_view_page(path, title=title, splits=splits, chosen=chosen, rule="as drawn", vocabulary=VOCABULARY)
    return path


@pytest.fixture(scope="module")
def view_page(tmp_path_factory: pytest.TempPathFactory, synthetic_dataset: Path) -> Path:
    """The page of the synthetic set, with a third split whose one image is crowded and has long names."""
    names = [f"thing {i}" for i in range(40)] + ["Donaudampfschiffahrtsgesellschaftskapitän" * 4]
    ends = [(a, "standing right in front of", b) for a in range(0, 30, 3) for b in range(1, 30, 7) if a != b]
    crowded = make_graph(names, [[i, i, i + 30, i + 20] for i in range(41)], [*ends, (40, "on", 0), (0, "on", 40)])
    splits = {**load_splits(str(synthetic_dataset)), "crowded": split_of(row_of("many" * 60, crowded))}
    return write(tmp_path_factory.mktemp("view") / "view.html", splits)


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page in which everything that comes from data tries to be markup."""
    names = [HOSTILE, *(f"{HOSTILE} {i}" for i in range(35))]
    graph = make_graph(names, [[0, 0, 50, 50]] * 36, [(0, HOSTILE, 1), (1, "</svg></style>" + HOSTILE + "\0\x1b", 0)])
    splits = {HOSTILE: split_of(row_of(HOSTILE, graph))}
    return write(tmp_path_factory.mktemp("hostile") / "view.html", splits, HOSTILE)


def test_tags_are_balanced_and_references_resolve(view_page: Path) -> None:
    outline = Outline(view_page.read_text(encoding="utf-8"))
    ids = outline.values("id")
    assert outline.stack == []
    assert len(ids) == len(set(ids))
    assert {value.removeprefix("#") for value in outline.values("href") if value.startswith("#")} <= set(ids)
    assert {word for value in outline.values("aria-labelledby") for word in value.split()} <= set(ids)


def test_nothing_points_outside_the_file(view_page: Path) -> None:
    html = view_page.read_text(encoding="utf-8")
    assert all(value.startswith(("#", "data:")) for value in Outline(html).values("href", "src"))
    assert not re.search(r"url\(|@import|<script|https?://", html)
    assert "default-src 'none'; img-src data:" in html


def test_the_page_says_near_its_beginning_what_it_is(view_page: Path) -> None:
    assert MARK in view_page.read_text(encoding="utf-8")[: len(MARK) + 100]


def test_the_page_tells_numbers_choice_and_graphs(view_page: Path) -> None:
    text = Outline(view_page.read_text(encoding="utf-8")).text
    for words in (
        "500 images · 1,500 objects of 9 names",
        "half of all, with",
        "Objects per image",
        "log scale",
        "12 images, as drawn.",
        "in no relationship with another object",
        "more objects not drawn",
        "are not in the vocabulary: ",
        "… and 11 more with",
    ):
        assert words in text, words


def test_labels_ids_and_names_stay_text(hostile_page: Path) -> None:
    outline = Outline(hostile_page.read_text(encoding="utf-8"))
    assert not {tag for tag, _, _ in outline.attributes} & {"img", "script"}
    assert not [name for _, name, _ in outline.attributes if name.startswith("on")]
    assert outline.stack == []
    assert outline.text.count(HOSTILE) > 8


def test_an_empty_split_is_no_fault(tmp_path: Path) -> None:
    page = write(tmp_path / "view.html", {"train": split_of(row_of("a", make_graph([], [], []))).select([])})
    text = Outline(page.read_text(encoding="utf-8")).text
    assert "0 images" in text
    assert "There are none." in text


def test_samples_are_shared_between_splits_and_repeatable() -> None:
    splits = {name: Dataset.from_dict({"image_id": [str(i) for i in range(n)]}) for name, n in (("a", 50), ("b", 3))}
    chosen = sample_indices(splits, 24, seed=0)
    assert (len(chosen["a"]), chosen["b"]) == (21, [0, 1, 2])
    assert list(chosen) == ["a", "b"]
    assert chosen["a"] == sorted(set(chosen["a"]))
    assert sample_indices(splits, 24, seed=0) == chosen != sample_indices(splits, 24, seed=1)
    assert {name: len(indices) for name, indices in sample_indices(splits, 5, seed=0).items()} == {"a": 2, "b": 3}


def test_images_are_found_by_id_in_any_split_or_the_closest_are_named() -> None:
    splits = {"a": Dataset.from_dict({"image_id": ["x1", "x2"]}), "b": Dataset.from_dict({"image_id": ["y1"]})}
    assert indices_of(splits, ["y1", "x2"]) == {"a": [1], "b": [0]}
    with pytest.raises(DataError, match=r"no image `x3` in a, b; the closest ids: `x2`, `x1`"):
        indices_of(splits, ["x2", "x3"])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280], ids=["phone", "desktop"])
def test_a_browser_shows_it_without_a_complaint_or_a_request(
    browser: Page, view_page: Path, width: int, dark: bool
) -> None:
    browser.open(view_page, width=width, dark=dark)
    assert browser.console() == []
    assert [url for url in browser.requested() if not url.startswith("data:")] == [view_page.as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    red = browser.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] | 0")
    assert red < 60 if dark else red > 200
    for part in (".photo image", ".graph svg"):
        assert browser.evaluate(f"document.querySelector('{part}').getBoundingClientRect().width") > 250
    smallest = "Math.min(...[...document.querySelectorAll('.graph text')].map(e => e.getBoundingClientRect().height))"
    assert browser.evaluate(smallest) > 10


def contrast(browser: Page, text: str, ground: str) -> float:
    """WCAG contrast of two CSS colours of the page's root, by the names of their variables."""
    script = """
        (() => {
          const light = name => {
            const probe = document.createElement('i');
            probe.style.color = `var(${name})`;
            document.body.append(probe);
            const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
              .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            probe.remove();
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
          };
          const [a, b] = [light('TEXT'), light('GROUND')].sort((x, y) => y - x);
          return (a + 0.05) / (b + 0.05);
        })()
    """
    value: float = browser.evaluate(script.replace("TEXT", text).replace("GROUND", ground))
    return value


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_names_can_be_read_on_every_colour_and_every_colour_on_the_card(
    browser: Page, view_page: Path, dark: bool
) -> None:
    browser.open(view_page, width=1280, dark=dark)
    for number in range(10):
        assert contrast(browser, "--plate-ink", f"--o{number}") >= 4.5
        assert contrast(browser, f"--o{number}", "--card") >= 3


def test_whatever_scrolls_or_folds_can_be_reached_by_keyboard(browser: Page, view_page: Path) -> None:
    browser.open(view_page, width=400, dark=False)
    scrolling = (
        "[...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1 &&"
        " getComputedStyle(e).overflowX === 'auto' && e.tabIndex < 0)"
    )
    assert browser.evaluate(f"{scrolling}.length") == 0
    assert browser.evaluate("document.querySelectorAll('details > summary').length") > 5


def test_pointing_at_a_node_leaves_what_belongs_to_it(browser: Page, view_page: Path) -> None:
    browser.open(view_page, width=1280, dark=False)
    node = "document.querySelector('.sample:last-of-type .sides .node')"
    browser.evaluate(f"{node}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    spot = browser.evaluate(f"(() => {{ const r = {node}.getBoundingClientRect(); return [r.x + 4, r.y + 9]; }})()")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=spot[0], y=spot[1])
    shown = f"{{o: +getComputedStyle(e).opacity, own: e.classList.contains({node}.classList[2])}}"
    arrows = browser.evaluate(f"[...{node}.closest('svg').querySelectorAll('.arrow')].map(e => ({shown}))")
    assert {arrow["own"] for arrow in arrows} == {True, False}
    assert all((arrow["o"] == 1) == arrow["own"] for arrow in arrows)


def test_hostile_text_does_nothing_in_a_browser(browser: Page, hostile_page: Path) -> None:
    browser.open(hostile_page, width=400, dark=False)
    assert browser.console() == []
    assert browser.evaluate("document.title") == HOSTILE
    assert browser.evaluate("document.querySelectorAll('img, script, [onerror]').length") == 0
    assert browser.evaluate("document.documentElement.scrollWidth") <= 400
    assert [url for url in browser.requested() if not url.startswith("data:")] == [hostile_page.as_uri()]
