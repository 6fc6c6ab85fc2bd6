"""A report in a real browser: filters, hover, keys, no complaint, no request, whatever labels try to be."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.report.comparison import compare_stages
from r1sgg_cli.report.curves import Curve
from r1sgg_cli.report.photos import PhotoOf
from r1sgg_cli.report.report_page import MARK, Report, write_report, write_report_folder
from r1sgg_cli.report.stages import Stage, evaluate_predictions
from r1sgg_cli.scene_graph.training_names import TrainingNames
from tests.report.chromium import Page
from tests.report.conftest import make_graph, make_stage
from tests.report.outline import Outline

HOSTILE = '"><img src=x onerror="document.title=1"></script></template><script>document.title=2</script>&lt;{{ 7*7 }}'
NUM_SHOWN = 12


def shortened(stage: Stage, num_images: int) -> Stage:
    """The same run on its first images."""
    return make_stage(stage.name, list(stage.predictions.images[:num_images]))


def resampled(stage: Stage) -> Stage:
    """The same run with intervals."""
    return Stage(stage.name, stage.predictions, evaluate_predictions(stage.predictions, 100))


@pytest.fixture(scope="module")
def photo_of(image_of: Callable[[str], Image.Image]) -> PhotoOf:
    return lambda image: image_of(image.image_id)


MAPPING = {"aliases": "vg150", "mapped": {"objects": {"guy → man": 3}}}


@pytest.fixture(scope="module")
def report(stages: list[Stage], photo_of: PhotoOf, curves: list[Curve]) -> Report:
    training = TrainingNames({"left of": 4000, "above": 120}, frozenset())
    provenance = {**stages[1].predictions.provenance, "gather": {"label_mapping": MAPPING}}
    predictions = replace(stages[1].predictions, training=training, provenance=provenance)
    return Report((Stage("prediction", predictions, evaluate_predictions(predictions, 100)),), None, photo_of, curves)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, report: Report) -> Path:
    """The report of one run, twelve of forty images."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(report, path, NUM_SHOWN)
    return path


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, stages: list[Stage], photo_of: PhotoOf) -> Path:
    """Two runs side by side on eight images."""
    pair = tuple(resampled(shortened(stage, 8)) for stage in stages[1:])
    path = tmp_path_factory.mktemp("compared") / "report.html"
    write_report(Report(pair, compare_stages(pair)[0], photo_of), path, 8)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, stages: list[Stage], photo_of: PhotoOf) -> Path:
    """All of eight images as a folder."""
    path = tmp_path_factory.mktemp("folder") / "report"
    write_report_folder(Report((shortened(stages[1], 8),), None, photo_of), path)
    return path


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in which everything that comes from data or a model tries to be markup or script."""
    graph = make_graph([HOSTILE, "cat"], [[0, 0, 50, 50], [50, 50, 90, 90]], [(0, HOSTILE, 1)])
    answered = ImagePrediction(HOSTILE, (100, 100), graph, graph, None, {HOSTILE: 1}, HOSTILE + "\0\x1b\ud800\u2028")
    failed = ImagePrediction("z", (100, 100), graph, None, HOSTILE, {}, "</pre></template>" + HOSTILE)
    stage = make_stage(HOSTILE, [answered, failed])
    provenance = {"model": HOSTILE, "dataset": HOSTILE, HOSTILE: HOSTILE}
    predictions = replace(stage.predictions, provenance=provenance, training=TrainingNames({HOSTILE: 3}, frozenset()))
    stage = Stage(HOSTILE, predictions, evaluate_predictions(predictions, 10))
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    write_report(Report((stage,), None, lambda _: Image.new("RGB", (100, 100))), path, 9)
    return path


def opened(browser: Page, path: Path, *, width: int = 1280, dark: bool = False) -> Page:
    browser.call("Emulation.setFocusEmulationEnabled", enabled=True)
    browser.open(path, width=width, dark=dark)
    browser.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    return browser


def press(browser: Page, key: str, text: str = "") -> None:
    """A key as a keyboard sends it."""
    codes = {
        "End": 35,
        "Enter": 13,
        "Escape": 27,
        "Tab": 9,
        "ArrowDown": 40,
        "ArrowRight": 39,
        "ArrowUp": 38,
        "ArrowLeft": 37,
    }
    code = codes.get(key, ord(key[0].upper()))
    typed = {"text": text or ("\r" if key == "Enter" else key)} if len(key) == 1 or key == "Enter" else {}
    browser.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **typed)
    browser.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)


def choose(browser: Page, field: str, value: str) -> None:
    browser.evaluate(
        f"(() => {{ const f = document.getElementById({json.dumps(field)}); f.value = {json.dumps(value)};"
        " f.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def wait_until(browser: Page, condition: str) -> None:
    """For what the page does a moment later."""
    deadline = time.monotonic() + 20
    while not browser.evaluate(condition):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


def shown_ids(browser: Page) -> list[str]:
    ids: list[str] = browser.evaluate("[...document.querySelectorAll('#list .id')].map(e => e.textContent)")
    return ids


def current_id(browser: Page) -> str:
    text: str = browser.evaluate("document.querySelector('#card h3').textContent")
    return text.removeprefix("Image ")


def index_of(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="index">(.*?)</script>', text, re.DOTALL)
    assert found
    content: dict[str, Any] = json.loads(found[1])
    return content


def test_tags_are_balanced_and_references_resolve(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    outline = Outline(html)
    ids = outline.values("id")
    assert outline.stack == []
    assert len(ids) == len(set(ids))
    assert {value.removeprefix("#") for value in outline.values("href") if value.startswith("#")} <= set(ids)
    assert {word for value in outline.values("aria-labelledby") for word in value.split()} <= set(ids)
    assert MARK in html[: len(MARK) + 100]


def test_nothing_points_outside_the_file(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert all(value.startswith(("#", "data:")) for value in Outline(html).values("href", "src"))
    assert not re.search(r"url\(|@import|https?://|script src", html)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    allowed = r"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-[\w+/]{43}='"
    assert re.fullmatch(allowed, policy[1])


def test_the_page_tells_numbers_predicates_failures_curves_and_how_images_were_chosen(page: Path) -> None:
    text = " ".join(Outline(page.read_text(encoding="utf-8")).text.split())
    for words in (
        "runs/demo/after-SFT on data/synthetic",
        "3 labels were mapped into the vocabulary (aliases: vg150), which may raise the numbers",
        "3 labels were mapped into the vocabulary (aliases: vg150), which may raise the numbers",
        "95 % interval over images (bootstrap, of rates of images Wilson's)",
        "times annotated in the training split (log scale)",
        "without a graph",
        "GRPO reward",
        "12 of 40 images:",
        "The numbers above are of all images.",
        "✗ wrong (dashed)",
        "Raw answer",
    ):
        assert words in text, words


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280], ids=["phone", "desktop"])
@pytest.mark.parametrize("which", ["page", "compared"])
def test_a_browser_shows_it_without_a_complaint_or_a_request(
    browser: Page, which: str, width: int, dark: bool, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(which)
    opened(browser, path, width=width, dark=dark)
    for _ in range(3):
        press(browser, "j")
    assert browser.console() == []
    assert [url for url in browser.requested() if not url.startswith("data:")] == [path.as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    red = browser.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] | 0")
    assert red < 60 if dark else red > 200
    photo = "document.querySelector('#card .photo use').getBoundingClientRect().width"
    assert browser.evaluate(photo) > 200


def test_whatever_scrolls_can_be_reached_by_keyboard(browser: Page, page: Path) -> None:
    opened(browser, page, width=400)
    scrolling = (
        "[...document.querySelectorAll('main *')].filter(e => (e.scrollWidth > e.clientWidth + 1 &&"
        " getComputedStyle(e).overflowX === 'auto' || e.scrollHeight > e.clientHeight + 1 &&"
        " getComputedStyle(e).overflowY === 'auto') && e.tabIndex < 0 && !e.querySelector('[tabindex=\"0\"]'))"
    )
    assert browser.evaluate(f"{scrolling}.length") == 0


def test_filters_show_the_images_that_pass_and_say_how_many(browser: Page, page: Path) -> None:
    index = index_of(page)
    opened(browser, page)
    assert len(shown_ids(browser)) == NUM_SHOWN
    predicate = index["predicates"].index("left of")
    choose(browser, "predicate", str(predicate))
    choose(browser, "verdict", "missed")
    missed = index["verdicts"].index("missed")
    expected = {i["id"] for i in index["images"] if any(t[1] == predicate and t[3] == missed for t in i["triplets"])}
    assert 0 < len(expected) < NUM_SHOWN
    assert set(shown_ids(browser)) == expected
    assert browser.evaluate("document.getElementById('status').textContent") == f"{len(expected)} of 12 images"
    browser.evaluate("document.querySelector('#filters [type=reset]').click()")
    wait_until(browser, f"document.querySelectorAll('#list li').length === {NUM_SHOWN}")
    choose(browser, "object", str(thing := index["objects"].index("red circle")))
    with_it = {i["id"] for i in index["images"] if any(name == thing for name, _ in i["objects"])}
    assert set(shown_ids(browser)) == with_it
    choose(browser, "object", "")
    choose(browser, "show", "failed")
    assert set(shown_ids(browser)) == {i["id"] for i in index["images"] if any(i["failure"])}
    assert "✗" in browser.evaluate("document.querySelector('#list .counts').textContent")


def test_search_finds_ids_labels_and_words_of_a_triplet(browser: Page, page: Path) -> None:
    index = index_of(page)
    opened(browser, page)
    first = index["images"][0]
    choose(browser, "search", first["id"].upper())
    assert shown_ids(browser) == [first["id"]]
    subject, predicate, target, _ = index["images"][-1]["triplets"][0]
    words = " ".join((index["objects"][subject], index["predicates"][predicate], index["objects"][target]))
    choose(browser, "search", words)
    assert index["images"][-1]["id"] in shown_ids(browser)
    choose(browser, "search", "no such thing")
    assert shown_ids(browser) == []
    assert browser.evaluate("document.getElementById('none').hidden") is False


def test_the_worst_image_comes_first_unless_another_order_is_chosen(browser: Page, page: Path) -> None:
    images = {image["id"]: image for image in index_of(page)["images"]}
    opened(browser, page)
    recalls = [images[i]["matched"][0] / images[i]["annotated"] for i in shown_ids(browser)]
    assert recalls == sorted(recalls)
    choose(browser, "order", "best")
    assert [images[i]["matched"][0] / images[i]["annotated"] for i in shown_ids(browser)] == recalls[::-1]
    choose(browser, "order", "id")
    assert shown_ids(browser) == sorted(images)


def test_keys_go_from_image_to_image_open_the_answer_and_reach_the_search(browser: Page, page: Path) -> None:
    opened(browser, page)
    ids = shown_ids(browser)
    for key, place in (("j", 1), ("ArrowRight", 2), ("k", 1), ("ArrowLeft", 0), ("k", 0)):
        press(browser, key)
        assert current_id(browser) == ids[place], key
    browser.evaluate("document.querySelector('#list [aria-current]').focus()")
    press(browser, "ArrowDown")
    assert current_id(browser) == ids[1]
    assert browser.evaluate("document.activeElement.querySelector('.id').textContent") == ids[1]
    press(browser, "Enter")
    assert browser.evaluate("document.querySelector('#card details.answer').open") is True
    assert browser.evaluate("document.activeElement.tagName") == "PRE"
    press(browser, "Escape")
    assert browser.evaluate("document.querySelector('#card details.answer').open") is False
    press(browser, "/")
    assert browser.evaluate("document.activeElement.id") == "search"
    press(browser, "j")
    assert browser.evaluate("document.getElementById('search').value") == "j"
    choose(browser, "search", "")
    press(browser, "Escape")
    assert browser.evaluate("document.activeElement.className") == "item"


def test_tab_goes_from_the_list_into_the_card_and_lights_up_what_a_line_names(browser: Page, page: Path) -> None:
    opened(browser, page)
    choose(browser, "order", "best")
    browser.evaluate("document.querySelector('#list [aria-current]').focus()")
    for _ in range(3):  # previous, next, the first relationship
        press(browser, "Tab")
    link = browser.evaluate("document.activeElement.dataset.l")
    assert link
    lit = browser.evaluate("[...document.querySelectorAll('#card .lit')].map(e => e.dataset.o || e.dataset.l)")
    assert set(lit) == {link, *link.split(">")}


def test_pointing_at_a_node_lights_up_its_box_its_arrows_and_its_lines(browser: Page, page: Path) -> None:
    opened(browser, page)
    choose(browser, "order", "best")
    node = "document.querySelector('#card .side .node.matched')"
    browser.evaluate(f"{node}.scrollIntoView({{block: 'center'}})")
    spot = browser.evaluate(f"(() => {{ const r = {node}.getBoundingClientRect(); return [r.x + 4, r.y + 9]; }})()")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=spot[0], y=spot[1])
    key = browser.evaluate(f"{node}.dataset.o")
    parts = "[...document.querySelectorAll('#card [data-o], #card [data-l]')]"
    found = browser.evaluate(
        f"{parts}.map(e => [e.dataset.o || e.dataset.l, e.classList.contains('lit'), e.tagName, e.classList[0]])"
    )
    own = [lit for name, lit, *_ in found if name == key]
    links = [(lit, key in name.split(">")) for name, lit, *_ in found if ">" in name]
    assert len(own) >= 6  # box, label and node, on both sides
    assert all(own)
    assert {lit for lit, _ in links} == {True, False}
    assert all(lit == belongs for lit, belongs in links)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    assert browser.evaluate("document.getElementById('card').classList.contains('pointing')") is False


def test_a_predicate_of_the_chart_and_a_cause_of_failure_become_filters(browser: Page, page: Path) -> None:
    index = index_of(page)
    opened(browser, page)
    browser.evaluate("document.querySelector('.dot').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    label = browser.evaluate("document.querySelector('.dot').dataset.predicate")
    number = index["predicates"].index(label)
    assert set(shown_ids(browser)) == {i["id"] for i in index["images"] if any(t[1] == number for t in i["triplets"])}
    browser.evaluate("document.querySelector('[data-cause]').click()")
    cause = browser.evaluate("document.querySelector('[data-cause]').dataset.cause")
    assert set(shown_ids(browser)) == {i["id"] for i in index["images"] if cause in i["failure"]}


def test_two_runs_stand_side_by_side_and_what_gained_most_comes_first(browser: Page, compared: Path) -> None:
    images = {image["id"]: image for image in index_of(compared)["images"]}
    opened(browser, compared)
    headings = "[...document.querySelectorAll('#card h4')].map(e => e.textContent)"
    assert browser.evaluate(headings) == ["ground truth", "after SFT", "after GRPO"]
    gains = [images[i]["matched"][1] - images[i]["matched"][0] for i in shown_ids(browser)]
    assert gains == sorted(gains, reverse=True)
    choose(browser, "order", "lost")
    gains = [images[i]["matched"][1] - images[i]["matched"][0] for i in shown_ids(browser)]
    assert gains == sorted(gains)
    assert "annotated relationships than after SFT" in browser.evaluate("document.querySelector('.claim').textContent")


def test_a_folder_shows_every_image_and_asks_for_nothing_outside_it(browser: Page, folder: Path) -> None:
    opened(browser, folder / "index.html")
    for expected in shown_ids(browser):
        wait_until(browser, f"document.querySelector('#card h3')?.textContent === {json.dumps(f'Image {expected}')}")
        press(browser, "j")
    assert browser.console() == []
    assert browser.evaluate("document.querySelector('#card .photo use').getBoundingClientRect().width") > 200
    assert all(url.startswith((folder.as_uri() + "/", "data:")) for url in browser.requested())
    assert len(list((folder / "images").iterdir())) == len(list((folder / "cards").iterdir())) == 8


def test_a_folder_is_written_again_in_its_place_and_keeps_what_else_is_there(folder: Path, stages: list[Stage]) -> None:
    (folder / "notes.txt").write_text("mine")
    write_report_folder(Report((shortened(stages[1], 2),), None, None), folder)
    assert sorted(path.name for path in folder.iterdir()) == ["cards", "index.html", "notes.txt"]
    assert len(list((folder / "cards").iterdir())) == 2
    assert "The photos were left out" in (folder / "index.html").read_text(encoding="utf-8")


def test_a_list_of_many_images_grows_as_it_is_scrolled(browser: Page, tmp_path: Path) -> None:
    graph = make_graph(["cat"], [[0, 0, 50, 50]], [])
    many = [ImagePrediction(f"{i:03}", (100, 100), graph, graph, None, {}, "") for i in range(450)]
    write_report(Report((make_stage("a", many),), None, None), tmp_path / "report.html", 450)
    opened(browser, tmp_path / "report.html")
    assert shown_ids(browser) == [image.image_id for image in many[:200]]
    browser.evaluate("document.getElementById('list').scrollTop = 1e6")
    wait_until(browser, "document.querySelectorAll('#list li').length === 400")
    browser.evaluate("document.querySelector('#list [aria-current]').focus()")
    press(browser, "End")
    assert current_id(browser) == "449"
    assert browser.evaluate("document.activeElement.querySelector('.id').textContent") == "449"


def test_hostile_text_does_nothing_in_a_browser(browser: Page, hostile: Path) -> None:
    opened(browser, hostile, width=400)
    assert sorted(shown_ids(browser)) == sorted([HOSTILE, "z"])
    for _ in range(2):
        press(browser, "Enter")
        press(browser, "j")
    assert browser.console() == []
    assert browser.evaluate("document.title") == f"{HOSTILE} on {HOSTILE}"
    assert browser.evaluate("document.querySelectorAll('img, [onerror]').length") == 0
    assert browser.evaluate("document.scripts.length") == 2
    assert browser.evaluate("document.documentElement.scrollWidth") <= 400
    assert HOSTILE in browser.evaluate("document.getElementById('card').textContent")
    assert [url for url in browser.requested() if not url.startswith("data:")] == [hostile.as_uri()]


@pytest.mark.parametrize(
    ("task", "absent", "present"),
    [("det", "triplet recall", "object F1"), ("cls", "object F1", "triplet recall")],
)
def test_a_page_has_the_numbers_of_what_was_asked_for_and_warns_of_few_images(
    stages: list[Stage], tmp_path: Path, task: str, absent: str, present: str
) -> None:
    runs = []
    for stage in stages[1:]:
        predictions = stage.predictions
        asked = replace(predictions, provenance={**predictions.provenance, "task": task}, images=predictions.images[:9])
        runs.append(Stage(stage.name, asked, evaluate_predictions(asked, 50)))
    alone, both = Report((runs[0],), None, None), Report(tuple(runs), compare_stages(runs)[0], None)
    for name, report in (("alone.html", alone), ("both.html", both)):
        write_report(report, tmp_path / name, 4)
        text = (tmp_path / name).read_text()
        numbers = text[text.index('id="numbers-title"') : text.index('id="failures-title"')]
        assert absent not in numbers
        assert present in numbers
        assert "Only 9 images: intervals of so few are too narrow to rely on." in numbers


def test_two_hundred_large_photos_make_a_page_of_less_than_20_mb(tmp_path: Path) -> None:
    graph = make_graph(
        [f"thing {i}" for i in range(14)],
        [[5 * i, 3 * i, 5 * i + 30, 3 * i + 40] for i in range(14)],
        [(i, "in front of", i + 1) for i in range(10)],
    )
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    photo = Image.fromarray(noise)
    image = ImagePrediction("a", (1024, 1024), graph, graph, None, {}, "x" * 9000)
    path = tmp_path / "report.html"
    write_report(
        Report((make_stage("a", [replace(image, image_id=f"{i}") for i in range(2)]),), None, lambda _: photo),
        path,
        200,
    )
    stored = path.stat().st_size
    cards = sum(
        len(part) for part in re.findall(r"<template.*?</template>", path.read_text(encoding="utf-8"), re.DOTALL)
    )
    assert (stored - cards) + 200 * cards / 2 < 20e6
