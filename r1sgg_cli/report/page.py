"""The page of a run: the numbers, the curves, and the pictures of every stage."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from r1sgg_cli.files import save_text
from r1sgg_cli.report.curves import Curve, lay_out
from r1sgg_cli.report.gallery import build_gallery
from r1sgg_cli.report.headline import compared_stages, headline_rows, verdict
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
        verdict=verdict(stages, gain),
        charts=[(curve, lay_out(curve)) for curve in curves],
        gallery=build_gallery(stages, compared, image_of),
        commands=commands,
        provenance=[(stage.name, flat(stage.predictions.provenance)) for stage in stages],
    )
    save_text(html, path)


def flat(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each value with its name, as text."""
    return [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in provenance.items()]
