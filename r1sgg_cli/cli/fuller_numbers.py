"""A file of numbers that holds more than a run computes is not replaced by accident: whole intervals take minutes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from r1sgg_cli.errors import NOT_JSON, OutputError


class Computed(NamedTuple):
    """Which parts of the numbers a run computes."""

    standard: bool
    intervals: bool
    """Of the standard ones."""
    published: bool


def fingerprint(predictions: Path) -> str:
    """By which a file of numbers knows the predictions again that they are of. Raises `OSError`."""
    with predictions.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def insist_on_no_loss(path: Path, predictions_sha256: str, computed: Computed) -> None:
    """Refuse to replace numbers of the same predictions by fewer. Raises `OutputError`."""
    try:
        held = json.loads(path.read_bytes())
    except (OSError, *NOT_JSON):  # none yet, or none that can be read
        return
    if not isinstance(held, dict) or held.get("predictions_sha256") != predictions_sha256:
        return
    if lost := list(_lost(held, computed)):
        what, options = (" and ".join(words) for words in zip(*lost, strict=True))
        raise OutputError(
            f"`{path}` also holds {what} of the same predictions, which would be lost: leave {options} out, or name"
            " another file with `--out`"
        )


def _lost(held: Mapping[str, Any], computed: Computed) -> Iterator[tuple[str, str]]:
    """What is there and not computed, and the option that leaves it out."""
    if "metrics" in held and not computed.standard:
        yield "the standard numbers", "`--protocol published`"
    elif held.get("num_resamples") and not computed.intervals:
        yield "the intervals", "`--resamples 0`"
    if "published" in held and not computed.published:
        yield "the published evaluator's numbers", "`--protocol standard`"
