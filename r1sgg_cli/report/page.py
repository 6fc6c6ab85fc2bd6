"""The page of a run: the numbers, the curves, and the pictures of every stage."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from r1sgg_cli.files import save_text
from r1sgg_cli.report.curves import Curve, lay_out
from r1sgg_cli.report.facts import facts_of
from r1sgg_cli.report.gallery import build_gallery
from r1sgg_cli.report.headline import compared_stages, findings, headline_rows
from r1sgg_cli.report.rendering import render_html
from r1sgg_cli.report.stages import Gain, Stage


def write_run_page(
    path: Path,
    *,
    title: str,
    stages: Sequence[Stage],
    gain: Gain,
    curves: Sequence[Curve],
    image_of: Callable[[str], Image.Image],
    commands: Sequence[str],
) -> None:
    """Write the page that compares `stages` on the same held-out images. Raises `OutputError`.

    `gain` is the one change that is tested (`stages.recall_gain`), `image_of` gives the image of an `image_id`, and
    `commands` are the lines that made the run, in order.
    """
    compared = compared_stages(stages, gain)
    html = render_html(
        "page.html.jinja",
        title=title,
        stages=stages,
        gain=gain,
        protocol=" ".join(dict.fromkeys(stage.evaluation.protocol for stage in stages)),
        rows=headline_rows(stages, gain),
        findings=findings(stages, gain),
        charts=[(curve, lay_out(curve)) for curve in curves],
        gallery=build_gallery(stages, compared, image_of),
        commands=commands,
        provenance=[(stage.name, facts_of(stage.predictions.provenance)) for stage in stages],
    )
    save_text(html, path)
