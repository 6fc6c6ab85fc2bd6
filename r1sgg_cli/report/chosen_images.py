"""Which images a report shows, and why each of them: 5,000 photos are too many for a page that is to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.report.gallery import even_sample
from r1sgg_cli.report.stages import Stage

_RECALL = {"relationships": "triplet recall", "objects": "object recall"}
Why = Literal["failure", "worst", "best", "gained", "lost", "sample"]


@dataclass(frozen=True, slots=True)
class ChosenImages:
    """Indices of images in ascending order, each with the reason why it is shown, and the rule in a sentence."""

    reasons: dict[int, Why]
    rule: str
    is_choice: bool
    """Whether there are others."""


def choose_images(stages: Sequence[Stage], num_images: int | None) -> ChosenImages:
    """At most `num_images` of the images of one run or of two, all of them for None."""
    total = len(stages[0].predictions.images)
    if num_images is None or total <= num_images:
        return ChosenImages(dict.fromkeys(range(total), "sample"), f"All {total:,} images.", is_choice=False)
    most = num_images // 4  # of each group
    groups = _changed(stages[0], stages[1]) if len(stages) == 2 else _extremes(stages[0], most)
    reasons: dict[int, Why] = {}
    told = []
    for why, phrase, candidates in groups:
        taken = [i for i in candidates if i not in reasons][:most]
        reasons.update(dict.fromkeys(taken, why))
        if taken:
            told.append(f"{len(taken)} {phrase}")
    rest = [i for i in range(total) if i not in reasons]
    sampled = [rest[i] for i in even_sample(len(rest), num_images - len(reasons))]
    reasons.update(dict.fromkeys(sampled, "sample"))
    told.append(f"{len(sampled)} spaced evenly over all others by id")
    rule = f"{len(reasons):,} of {total:,} images: {', '.join(told)}. The numbers above are of all images."
    return ChosenImages(dict(sorted(reasons.items())), rule, is_choice=True)


def _extremes(stage: Stage, num_failures: int) -> list[tuple[Why, str, list[int]]]:
    """At most so many failures, evenly spaced; then the worst and the best that were read."""
    images, recall = stage.predictions.images, stage.evaluation.recall_per_image
    failed = [i for i, image in enumerate(images) if image.prediction is None]
    read = [i for i, image in enumerate(images) if image.prediction is not None and not np.isnan(recall[i])]
    weight = num_annotated(stage)
    worst = sorted(read, key=lambda i: (recall[i], -weight[i], i))
    best = sorted((i for i in read if recall[i] > 0), key=lambda i: (-recall[i], -weight[i], i))
    # Halves: of few images none is to be both among the worst and among the best.
    return [
        (
            "failure",
            "without a readable graph, spaced evenly",
            [failed[i] for i in even_sample(len(failed), num_failures)],
        ),
        (
            "worst",
            f"with the lowest {_RECALL[stage.evaluation.found]} of those that were read",
            worst[: (len(worst) + 1) // 2],
        ),
        ("best", "with the highest", best[: len(worst) // 2]),
    ]


def _changed(before: Stage, after: Stage) -> list[tuple[Why, str, list[int]]]:
    """Those that gained and those that lost most matched relationships, or objects where those alone were asked for."""
    change = num_matched(after) - num_matched(before)
    order = np.argsort(change, kind="stable").tolist()
    gained = [i for i in sorted(order, key=lambda i: (-change[i], i)) if change[i] > 0]
    lost = [i for i in order if change[i] < 0]
    return [
        ("gained", f"that gained most matched {before.evaluation.found} from {before.name} to {after.name}", gained),
        ("lost", "that lost most", lost),
    ]


def num_matched(stage: Stage) -> NDArray[np.int64]:
    """Matched relationships, or objects, of each image, shape (images,)."""
    recall = np.nan_to_num(stage.evaluation.recall_per_image)
    matched: NDArray[np.int64] = np.rint(recall * num_annotated(stage)).astype(np.int64)
    return matched


def num_annotated(stage: Stage) -> NDArray[np.int64]:
    """Different annotated relationships, or objects, of each image, shape (images,)."""
    truths = (image.ground_truth for image in stage.predictions.images)
    is_of_objects = stage.evaluation.found == "objects"
    return np.array([len(graph.names) if is_of_objects else len(set(graph.triplets)) for graph in truths])
