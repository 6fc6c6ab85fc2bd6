"""The page of a training: one safe file that a browser shows without a request, written in little time."""

import re
from pathlib import Path

import pytest

from r1sgg_cli.data.run_logs import append_row
from r1sgg_cli.errors import AnswersError, OutputError
from r1sgg_cli.report import run_gallery
from r1sgg_cli.report.run_page import is_run, write_page_of_run
from tests.report.chromium import Page
from tests.report.outline import Outline
from tests.report.run_folder import RECORD, make_run, save_record
from tests.report.test_page import HOSTILE


def page_of(folder: Path) -> Outline:
    write_page_of_run(folder)
    return Outline((folder / "run.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("runs") / "my-run")
    write_page_of_run(folder)
    return folder


@pytest.fixture(scope="module")
def hostile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which everything that comes from data or a model tries to be markup."""
    folder = make_run(tmp_path_factory.mktemp("hostile") / "run", kept=(1,), text=HOSTILE + "\x1b")
    save_record(folder, {**RECORD, "model": HOSTILE, HOSTILE: HOSTILE})
    append_row(
        {"step": 41, "max_steps": 41, "time": 0.0, f"rewards/{HOSTILE.replace('/', '')}/mean": 1.0, "time/a<b>": 1.0},
        folder / "metrics.jsonl",
    )
    write_page_of_run(folder)
    return folder


def test_tags_are_balanced_and_references_resolve(run_folder: Path) -> None:
    outline = Outline((run_folder / "run.html").read_text(encoding="utf-8"))
    ids = outline.values("id")
    assert outline.stack == []
    assert len(ids) == len(set(ids))
    assert {value.removeprefix("#") for value in outline.values("href") if value.startswith("#")} <= set(ids)
    assert {word for value in outline.values("aria-labelledby") for word in value.split()} <= set(ids)


def test_nothing_points_outside_the_file(run_folder: Path) -> None:
    html = (run_folder / "run.html").read_text(encoding="utf-8")
    assert all(value.startswith(("#", "data:")) for value in Outline(html).values("href", "src"))
    assert not re.search(r"url\(|@import|<script|https?://", html)


@pytest.mark.parametrize(
    "words",
    [
        "r1sgg GRPO run",
        "my-run",
        "step 40 of 40, its model is not written yet, logged 2026-",
        "31 % of answers are cut off",
        "weighted sum",
        "edge_hard_reward",
        "triplet recall",
        "Where a step’s time goes",
        "sampling",
        "MFU, whole step",
        "Step 40: image",
        "Best answer: reward",
        "Worst answer: reward −0.5",
        "no_json: the answer holds no JSON object",
        "4 answers as text",
        "a100-16x",
        "Qwen/Qwen2-VL-2B-Instruct",
        "recipe.rewards.format_reward",
        "versions.torch",
    ],
)
def test_the_page_tells(words: str, run_folder: Path) -> None:
    assert words in Outline((run_folder / "run.html").read_text(encoding="utf-8")).text


def test_each_group_shows_truth_and_two_answers_with_their_graphs(run_folder: Path) -> None:
    html = (run_folder / "run.html").read_text(encoding="utf-8")
    assert html.count("<article") == 5
    assert html.count("<h5>ground truth</h5>") == 5
    assert html.count('aria-label="Scene graph of') == 2 * 5  # of the truth and of the best answer
    assert html.count("data:image/png") == 5


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    """As of a fine-tuning that has just begun."""
    save_record(tmp_path, {"stage": "sft", "model": "m"})
    text = page_of(tmp_path).text
    assert "no step is logged yet" in text
    for words in ("Rollouts", "Warnings", "Where a step", "Reward"):
        assert words not in text


def test_rewards_of_which_there_is_one_are_not_summed(tmp_path: Path) -> None:
    save_record(tmp_path, RECORD)
    row = {"step": 1, "max_steps": 2, "time": 0.0, "reward": 1.0, "rewards/edge_reward/mean": 1.0}
    append_row(row, tmp_path / "metrics.jsonl")
    assert "weighted sum" not in page_of(tmp_path).text


def test_labels_answers_and_names_stay_text(hostile_folder: Path) -> None:
    outline = Outline((hostile_folder / "run.html").read_text(encoding="utf-8"))
    assert not {tag for tag, _, _ in outline.attributes} & {"img", "script", "b"}
    assert not [name for _, name, _ in outline.attributes if name.startswith("on")]
    assert outline.stack == []
    assert outline.text.count(HOSTILE) > 8


def test_the_page_is_whole_or_as_it_was(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/page\.html"):
        write_page_of_run(run_folder, tmp_path / "file" / "page.html")


def test_how_far_a_run_is_is_told_by_what_its_last_row_has(tmp_path: Path) -> None:
    save_record(tmp_path, RECORD)
    for row, words in (
        ({"step": 1_000}, "step 1,000\n"),
        ({"step": 2, "max_steps": 4}, "step 2 of 4\n"),
        ({"step": 4, "max_steps": 4}, "step 4 of 4, its model is not written yet\n"),
    ):
        append_row(row, tmp_path / "metrics.jsonl")
        assert words in page_of(tmp_path).text
    (tmp_path / "r1sgg.json").touch()
    assert "step 4 of 4, finished\n" in page_of(tmp_path).text


@pytest.mark.parametrize("log", ["metrics.jsonl", "warnings.jsonl"])
def test_a_broken_line_of_a_log_is_named(log: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", num_steps=2, kept=())
    (folder / log).write_text('{"step": 1}\n{"step": 2, "lo{"step": 3}\n', encoding="utf-8")
    with pytest.raises(AnswersError, match=rf"line 2 of `.*{log}` is no row of a log"):
        write_page_of_run(folder)


@pytest.mark.parametrize("damage", ["image", "line"])
def test_a_damaged_rollout_is_named(damage: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", kept=(1,))
    if damage == "image":
        (folder / "rollouts" / "0001.jpg").write_bytes(b"\xff\xd8")
    else:
        append_row({"step": 2}, folder / "rollouts.jsonl")
    with pytest.raises(AnswersError, match="rollouts"):
        write_page_of_run(folder)


def test_a_run_is_known_by_its_record(run_folder: Path, tmp_path: Path) -> None:
    assert is_run(run_folder)
    assert not is_run(tmp_path)


def test_of_a_long_run_nothing_is_drawn_twice_and_the_page_stays_small(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "long", num_steps=5000, kept=(1, *range(10, 5001, 10)))
    write_page_of_run(folder)
    drawn = run_gallery._section.cache_info().misses
    write_page_of_run(folder)
    assert run_gallery._section.cache_info().misses == drawn
    assert (folder / "run.html").stat().st_size < 3_000_000


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280], ids=["phone", "desktop"])
def test_a_browser_shows_it_without_a_complaint_or_a_request(
    browser: Page, run_folder: Path, width: int, dark: bool
) -> None:
    browser.open(run_folder / "run.html", width=width, dark=dark)
    assert browser.console() == []
    addresses = [url for url in browser.requested() if not url.startswith("data:")]
    assert addresses == [(run_folder / "run.html").as_uri()]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("document.querySelector('.photo use').getBoundingClientRect().width") > 200
    assert browser.evaluate("document.querySelectorAll('.layer').length") == 8


def test_the_layers_of_time_fill_their_chart(browser: Page, run_folder: Path) -> None:
    browser.open(run_folder / "run.html", width=1280, dark=False)
    chart = "document.querySelector('.layer').closest('svg').getBoundingClientRect()"
    widths = browser.evaluate("[...document.querySelectorAll('.layer')].map(e => e.getBoundingClientRect().width)")
    assert min(widths) > 0.8 * browser.evaluate(f"{chart}.width")


def test_whatever_scrolls_can_be_reached_by_keyboard(browser: Page, run_folder: Path) -> None:
    browser.open(run_folder / "run.html", width=400, dark=False)
    scrolling = (
        "[...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1 &&"
        " getComputedStyle(e).overflowX === 'auto' && !e.closest('details'))"
    )
    assert browser.evaluate(f"{scrolling}.length") > 0
    assert browser.evaluate(f"{scrolling}.filter(e => e.tabIndex < 0).length") == 0


def test_hostile_text_does_nothing_in_a_browser(browser: Page, hostile_folder: Path) -> None:
    browser.open(hostile_folder / "run.html", width=1280, dark=False)
    assert browser.console() == []
    assert browser.evaluate("document.title") == "run"
    assert browser.evaluate("document.querySelectorAll('img, script, [onerror]').length") == 0


def test_a_picture_that_is_gone_is_named_once(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", kept=(1,))
    (picture,) = {path for path in folder.rglob("*") if path.suffix in {".jpg", ".png"}}
    picture.unlink()
    with pytest.raises(
        AnswersError, match=rf"^cannot read `{picture}`, a picture of .*: No such file or directory; put"
    ):
        write_page_of_run(folder)
    picture.write_bytes(b"no picture")
    with pytest.raises(
        AnswersError, match=rf"^cannot read `{picture}`, a picture of .*: it is no picture; put it back"
    ):
        write_page_of_run(folder)
