"""A report says which images it shows and why."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from r1sgg_cli.report.chosen_images import choose_images, num_matched
from r1sgg_cli.report.stages import Stage


def test_all_images_are_shown_where_there_are_no_more(stages: list[Stage]) -> None:
    for num_images in (None, 40, 99):
        chosen = choose_images(stages[:1], num_images)
        assert list(chosen.reasons) == list(range(40))
        assert (chosen.rule, chosen.is_choice) == ("All 40 images.", False)


def test_failures_the_worst_the_best_and_an_even_sample_are_chosen(stages: list[Stage]) -> None:
    stage = stages[1]
    chosen = choose_images([stage], 16)
    failed = {i for i, image in enumerate(stage.predictions.images) if image.prediction is None}
    recall = stage.evaluation.triplet_recall_per_image
    of = {why: [i for i, reason in chosen.reasons.items() if reason == why] for why in chosen.reasons.values()}
    assert len(chosen.reasons) == 16
    assert chosen.is_choice
    assert 0 < len(of["failure"]) <= 4
    assert set(of["failure"]) <= failed
    assert len(of["worst"]) == len(of["best"]) == 4
    assert max(recall[of["worst"]]) <= min(recall[of["best"]])
    assert list(chosen.reasons) == sorted(chosen.reasons)


def test_failures_are_spaced_evenly_over_all_of_them(stages: list[Stage]) -> None:
    """Of 300 failures before 100 answers, 10 are shown of a page of 40: one for every 30."""
    image = next(image for image in stages[0].predictions.images if image.prediction is not None)
    images = (replace(image, prediction=None, failure="no_json"),) * 300 + (image,) * 100
    many = replace(stages[0].predictions, images=images)
    stage = Stage("many", many, replace(stages[0].evaluation, recall_per_image=np.zeros(len(images))))
    failures = [i for i, why in choose_images([stage], 40).reasons.items() if why == "failure"]
    assert failures == list(range(15, 300, 30))


def test_the_rule_counts_what_is_chosen(stages: list[Stage]) -> None:
    chosen = choose_images([stages[1]], 16)
    counts = Counter(chosen.reasons.values())
    assert chosen.rule == (
        f"16 of 40 images: {counts['failure']} without a readable graph, spaced evenly, 4 with the lowest triplet "
        f"recall of those that were read, 4 with the highest, {counts['sample']} spaced evenly over all others by id. "
        "The numbers above are of all images."
    )


def test_of_two_runs_those_that_gained_and_lost_most_are_chosen(stages: list[Stage]) -> None:
    chosen = choose_images(stages[1:], 12)
    change = num_matched(stages[2]) - num_matched(stages[1])
    gained = [i for i, why in chosen.reasons.items() if why == "gained"]
    lost = [i for i, why in chosen.reasons.items() if why == "lost"]
    assert len(chosen.reasons) == 12
    assert 0 < len(gained) <= 3
    assert min(change[gained]) > 0
    assert all(change[i] <= min(change[gained]) for i in range(40) if i not in gained)
    assert all(change[i] < 0 for i in lost)


@pytest.mark.parametrize("num_images", [1, 2, 3, 5])
def test_few_images_are_a_choice_as_well(stages: list[Stage], num_images: int) -> None:
    assert len(choose_images(stages[:1], num_images).reasons) == num_images
