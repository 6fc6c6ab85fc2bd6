"""Cards drawn by worker processes: a graph takes a tenth of a second to lay out, and 5,000 images have two each."""

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.data.workers import begin_worker, ctrl_c_ignored
from r1sgg_cli.errors import R1SGGError
from r1sgg_cli.report.card_parts import CardPhoto
from r1sgg_cli.report.cards import make_card
from r1sgg_cli.report.node_layout import WIDTH
from r1sgg_cli.report.rendering import render_html
from r1sgg_cli.report.verdicts import SIGNS, Verdicts, judge


@dataclass(frozen=True, slots=True)
class CardTask:
    """A card that is to be drawn."""

    number: int
    headings: tuple[str, ...]
    answers: tuple[ImagePrediction, ...]
    """Of one run or of two, each with its heading."""
    href: str | None
    """The photo: a data URI or a file beside the page; None for a blank frame."""
    why: str
    """Why the image was chosen, in words; empty where all are shown."""


@dataclass(frozen=True, slots=True)
class DrawnCard:
    """A card as HTML."""

    html: str
    verdicts: tuple[Verdicts, ...]


def draw_card(task: CardTask) -> DrawnCard:
    """The card of one image."""
    judged = tuple(judge(image) for image in task.answers)
    width, height = task.answers[0].image_wh
    scale = min(WIDTH / width, WIDTH / height)
    photo = CardPhoto(task.href, (round(width * scale, 2), round(height * scale, 2)))
    html = render_html(
        "report_card.html.jinja",
        card=make_card(task.headings, task.answers, judged, photo),
        number=task.number,
        note=f"{width}×{height} pixels{f', chosen as {task.why}' if task.why else ''}",
        width=WIDTH,
        verdict_of={sign: kind for kind, sign in SIGNS.items()},
    )
    return DrawnCard(html, judged)


def draw_cards(tasks: Iterable[CardTask], num_workers: int) -> Iterator[DrawnCard]:
    """Cards in the tasks' order, a bounded number under way at a time; 0 workers: in this process.

    Raises `R1SGGError` where a worker was killed.
    """
    if not num_workers:
        yield from map(draw_card, tasks)
        return
    context = multiprocessing.get_context("spawn")  # forking a process with threads may hang it
    under_way: deque[Future[DrawnCard]] = deque()
    with ProcessPoolExecutor(num_workers, mp_context=context, initializer=begin_worker) as pool:
        try:
            for task in tasks:
                with ctrl_c_ignored():
                    under_way.append(pool.submit(draw_card, task))
                if len(under_way) > 4 * num_workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool as error:
            raise R1SGGError(
                "a process that draws was killed, perhaps for want of memory; run the same command again"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
