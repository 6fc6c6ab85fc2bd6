"""The report of one run's predictions, or of two side by side: one file, or a folder where every image is shown.

The page runs one script of its own, which its content security policy names by its hash: nothing that a label or an
answer might smuggle past the escaping could run, and no request leaves the file (in a folder: the folder).
"""

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.data.provenance import mapping_of, origin_of
from r1sgg_cli.errors import OutputError
from r1sgg_cli.files import save_text, unwritable, work_beside
from r1sgg_cli.report.card_workers import CardTask, draw_cards
from r1sgg_cli.report.chosen_images import ChosenImages, Why, choose_images
from r1sgg_cli.report.comparison import Comparison
from r1sgg_cli.report.comparison_words import HOW, sentences
from r1sgg_cli.report.curves import Curve, lay_out
from r1sgg_cli.report.facts import facts_of
from r1sgg_cli.report.gallery_index import GalleryIndex
from r1sgg_cli.report.photos import PhotoOf, thumbnail
from r1sgg_cli.report.predicate_chart import lay_out_predicates
from r1sgg_cli.report.rendering import render_html
from r1sgg_cli.report.report_numbers import compared_numbers, failure_causes, headline_numbers, repairs
from r1sgg_cli.report.stages import Stage

MARK = "r1sgg report"
"""How a page says what it is, near its beginning, so that nothing else is ever replaced."""
INDEX_PAGE = "index.html"
"""In a folder."""
PARTS = ("images", "cards")
"""Beside it."""
REASONS: Mapping[Why, str] = {
    "failure": "a failure",
    "worst": "among the worst",
    "best": "among the best",
    "gained": "gained most",
    "lost": "lost most",
    "sample": "an even sample",
}

Track = Callable[[Iterable[int]], Iterable[int]]
"""Passes numbers on while it shows how far they are."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a report is made of."""

    stages: tuple[Stage, ...]
    """One run's answers, or those of two to the same images."""
    comparison: Comparison | None
    """Of two, None for one."""
    photo_of: PhotoOf | None
    """None: boxes stand on blank frames."""
    curves: Sequence[Curve] = ()


def write_report(report: Report, path: Path, num_images: int, track: Track = iter, num_workers: int = 0) -> None:
    """Write a report as one file that shows at most `num_images`. Raises `OutputError`, `DataError`."""
    chosen = choose_images(report.stages, num_images)
    index, cards = GalleryIndex(), []
    tasks = _tasks(report, chosen, _data_uri)
    for number, card in zip(track(chosen.reasons), draw_cards(tasks, num_workers), strict=True):
        index.add(number, chosen.reasons[number], _answers(report, number), card.verdicts)
        cards.append((number, card.html))
    save_text(_page(report, chosen, index, cards, "data:"), path)


def write_report_folder(report: Report, folder: Path, track: Track = iter, num_workers: int = 0) -> None:
    """Write a report of all images as a folder; a new one stands whole or not at all.

    Of a report that is there, pictures, cards and page are replaced in three steps. A kill between them leaves the
    older page over newer parts, or parts away; the same command puts that right. Raises `OutputError`, `DataError`.
    """
    chosen = choose_images(report.stages, None)
    index = GalleryIndex()
    with work_beside(folder) as work:
        new = work / "report"
        for left_over in (new, work / "old"):
            shutil.rmtree(left_over, ignore_errors=True)
        tasks = _tasks(report, chosen, partial(_saved_photo, new))
        for number, card in zip(track(chosen.reasons), draw_cards(tasks, num_workers), strict=True):
            index.add(number, chosen.reasons[number], _answers(report, number), card.verdicts)
            save_text(f"r1sggCard({number}, {json.dumps(card.html)});\n", new / f"cards/{number}.js")
        save_text(_page(report, chosen, index, [], "data: 'self'"), new / INDEX_PAGE)
        _move_into_place(new, folder, work / "old")


def _tasks(report: Report, chosen: ChosenImages, place: Callable[[int, bytes], str]) -> Iterator[CardTask]:
    """The cards that are to be drawn; `place` puts a photo where the page finds it, and says where."""
    names = tuple(stage.name for stage in report.stages)
    for number, why in chosen.reasons.items():
        answers = _answers(report, number)
        href = None if report.photo_of is None else place(number, thumbnail(report.photo_of(answers[0])))
        yield CardTask(number, names, answers, href, REASONS[why] if chosen.is_choice else "")


def _data_uri(number: int, photo: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(photo).decode('ascii')}"


def _saved_photo(folder: Path, number: int, photo: bytes) -> str:
    path = folder / f"images/{number}.jpg"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo)
    except OSError as error:
        raise unwritable(path, error) from error
    return f"images/{number}.jpg"


def _move_into_place(new: Path, folder: Path, old: Path) -> None:
    """Put a finished report where its folder is to be; of one that stands there only its own parts are replaced."""
    try:
        if not folder.exists():
            new.replace(folder)
            return
        old.mkdir(exist_ok=True)
        for name in PARTS:
            if (folder / name).exists():
                (folder / name).replace(old / name)
            if (new / name).exists():
                (new / name).replace(folder / name)
        (new / INDEX_PAGE).replace(folder / INDEX_PAGE)  # last: it is what makes the folder ours
    except OSError as error:
        raise OutputError(f"cannot write `{folder}`: {error.strerror}; name another folder") from error


def _answers(report: Report, number: int) -> tuple[ImagePrediction, ...]:
    """Of what was asked for: no relationship is missed, or wrong, where objects alone were."""
    answers = tuple(stage.predictions.images[number] for stage in report.stages)
    return answers if report.stages[0].evaluation.found == "relationships" else tuple(map(_of_objects, answers))


def _of_objects(image: ImagePrediction) -> ImagePrediction:
    graph = image.prediction and replace(image.prediction, triplets=())
    return replace(image, ground_truth=replace(image.ground_truth, triplets=()), prediction=graph, triplet_scores=None)


def _page(
    report: Report, chosen: ChosenImages, index: GalleryIndex, cards: Sequence[tuple[int, str]], image_source: str
) -> str:
    script = (resources.files("r1sgg_cli.report") / "templates" / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    stages, first = report.stages, report.stages[0]
    kinds = sorted({kind for image in index.images for kind in image["failure"] if kind})
    origins = [(stage.name, origin_of(stage.predictions.provenance)) for stage in stages]
    mappings = [(stage.name, mapping) for stage in stages if (mapping := mapping_of(stage.predictions.provenance))]
    present = set(chosen.reasons.values())
    return render_html(
        "report.html.jinja",
        mark=MARK,
        title=" against ".join(stage.name for stage in stages) if report.comparison else origins[0][1],
        image_source=image_source,
        script_source=f"'sha256-{digest}'" + ("" if cards else " 'self'"),
        script=script,
        origins=origins,
        mappings=mappings,
        stages=stages,
        comparison=report.comparison,
        **_numbers(report),
        num_images=len(first.predictions.images),
        protocol=" ".join(report.comparison.protocols if report.comparison else [first.evaluation.protocol]),
        chart=lay_out_predicates([stage.evaluation.predicates for stage in stages]),
        caution=first.evaluation.caution,
        failures=list(_failures(stages)),
        curves=[(curve, lay_out(curve)) for curve in report.curves],
        rule=chosen.rule,
        has_photos=report.photo_of is not None,
        failure_kinds=kinds,
        reasons=[(why, phrase) for why, phrase in REASONS.items() if why in present] if chosen.is_choice else [],
        provenance=[(stage.name, facts_of(stage.predictions.provenance)) for stage in stages],
        index=index.to_json(),
        cards=cards,
    )


def _numbers(report: Report) -> dict[str, Any]:
    if report.comparison is None:
        return {"numbers": headline_numbers(report.stages[0].evaluation)}
    return {"numbers": compared_numbers(report.comparison), "sentences": sentences(report.comparison), "how": HOW}


def _failures(stages: Sequence[Stage]) -> Iterator[tuple[str, Any, Any]]:
    for stage in stages:
        images = stage.predictions.images
        yield stage.name, failure_causes(images), repairs(images)
