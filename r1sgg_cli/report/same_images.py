"""Whether runs can be compared: the same images, annotations and vocabulary, and the same things asked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from r1sgg_cli.data.predictions import ImagePrediction, Predictions
from r1sgg_cli.errors import AnswersError
from r1sgg_cli.metrics.setting import GIVEN, setting_of

PIXELS_ALIKE = 0.01
"""Boxes that differ by less are the same box, written with fewer digits."""
_NUM_NAMED = 3


def run_names(paths: Sequence[Path]) -> list[str]:
    """What tells the files apart, as short as it can be: `sft` and `grpo` for `sft/preds.json` and `grpo/preds.json`.

    Raises `AnswersError` for a file that is given twice.
    """
    whole = [path.resolve() for path in paths]
    for number, path in enumerate(whole):
        if path in whole[:number]:
            raise AnswersError(f"`{paths[number]}` is given twice; name another run's predictions to compare with")
    parts = [[*path.parts[:-1], path.stem] for path in whole]
    for depth in range(1, max(map(len, parts)) + 1):
        for names in (["/".join(each[-depth:][:1]) for each in parts], ["/".join(each[-depth:]) for each in parts]):
            if len(set(names)) == len(names):
                return names
    return [str(path) for path in paths]


def insist_on_same_images(paths: Sequence[Path], runs: Sequence[Predictions]) -> None:
    """Refuse runs whose numbers do not go together. Raises `AnswersError`."""
    for path, run in list(zip(paths, runs, strict=True))[1:]:
        _insist_on_same_setting(paths[0], runs[0], path, run)
        _insist_on_same_ids(paths[0], runs[0], path, run)
        _insist_on_same_vocabulary(paths[0], runs[0], path, run)
        _insist_on_same_truth(paths[0], runs[0], path, run)


def _insist_on_same_setting(first_path: Path, first: Predictions, path: Path, run: Predictions) -> None:
    here, there = (setting_of(each.provenance.get("task")) for each in (first, run))
    if here != there:
        raise AnswersError(
            f"`{path}` is {there} ({GIVEN[there]}), `{first_path}` is {here} ({GIVEN[here]}); compare runs that were "
            "asked the same"
        )


def _insist_on_same_ids(first_path: Path, first: Predictions, path: Path, run: Predictions) -> None:
    here, there = ({image.image_id for image in each.images} for each in (first, run))
    if here != there:
        raise AnswersError(
            f"`{path}` is of other images than `{first_path}`: {len(here - there)} only in the first, "
            f"{len(there - here)} only in the other, {len(here & there)} in both; compare runs on the same images"
        )


def _insist_on_same_vocabulary(first_path: Path, first: Predictions, path: Path, run: Predictions) -> None:
    for kind in ("objects", "predicates"):
        here, there = (set(getattr(each.vocabulary, kind)) for each in (first, run))
        if here != there:
            raise AnswersError(
                f"`{path}` has another vocabulary than `{first_path}`: {len(here - there)} {kind} only in the first, "
                f"{len(there - here)} only in the other ({_named(here ^ there)}); gather both with the same "
                "`--vocabulary`"
            )


def _insist_on_same_truth(first_path: Path, first: Predictions, path: Path, run: Predictions) -> None:
    other = [
        image.image_id for image, same in zip(first.images, run.images, strict=True) if not _is_same_truth(image, same)
    ]
    if other:
        raise AnswersError(
            f"`{path}` is scored against other annotations than `{first_path}` in {len(other)} of {len(run.images)} "
            f"images ({_named(other)}); compare runs on the same version of the data set"
        )


def _is_same_truth(image: ImagePrediction, same: ImagePrediction) -> bool:
    here, there = image.ground_truth, same.ground_truth
    return (
        image.image_wh == same.image_wh
        and (here.names, here.triplets) == (there.names, there.triplets)
        and np.allclose(here.boxes_xyxy, there.boxes_xyxy, rtol=0, atol=PIXELS_ALIKE)
    )


def _named(names: Sequence[str] | set[str]) -> str:
    ordered = sorted(names)
    return ", ".join(f"`{name}`" for name in ordered[:_NUM_NAMED]) + (", …" if len(ordered) > _NUM_NAMED else "")
