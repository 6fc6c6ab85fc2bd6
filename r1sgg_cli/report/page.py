"""The page of a run: one HTML file without scripts that opens from disk and asks the network for nothing.

Its content security policy forbids every request and every script, so that even a label or an answer that got past the
templates' escaping could do nothing.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from r1sgg_cli.files import save_text
from r1sgg_cli.metrics.evaluation import PROTOCOL
from r1sgg_cli.report.curves import Curve, lay_out
from r1sgg_cli.report.gallery import build_gallery
from r1sgg_cli.report.headline import compared_stages, headline_rows, verdict
from r1sgg_cli.report.stages import Gain, Stage

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What HTML forbids, or UTF-8 cannot hold; a model's answer may contain any of it."""


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
    html = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            title=title,
            stages=stages,
            gain=gain,
            protocol=PROTOCOL,
            rows=headline_rows(stages, gain),
            verdict=verdict(stages, gain),
            charts=[(curve, lay_out(curve)) for curve in curves],
            gallery=build_gallery(stages, compared, image_of),
            commands=commands,
            provenance=[(stage.name, _flat(stage.predictions.provenance)) for stage in stages],
        )
    )
    save_text(UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", html), path)


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("r1sgg_cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _flat(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in provenance.items()]
