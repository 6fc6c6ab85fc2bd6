"""What may be said of a comparison, in plain sentences: every word follows from the numbers that are passed in."""

import math
from collections.abc import Sequence

from r1sgg_cli.metrics.comparison import NumberDifference, Outcome
from r1sgg_cli.metrics.metric import Metric
from r1sgg_cli.metrics.resampling import FEW_IMAGES, TOO_NARROW, few_images
from r1sgg_cli.report.comparison import Comparison
from r1sgg_cli.report.headline import MINUS

RECALL = ("triplet_recall", None)
"""Name and K of the number that is said first."""
ACRONYMS = {"ap": "AP", "ap50": "AP@50", "ar": "AR", "f1": "F1"}
HOW = (
    "Differences of numbers: paired bootstrap over images, 95 % interval, each number by itself, not "
    "corrected for how many there are. Predicates: paired randomisation test over images, corrected for their number "
    "(Benjamini–Hochberg, false discovery rate 5 %)."
)


def sentences(comparison: Comparison) -> tuple[str, ...]:
    """What is and what is not significant: recall, the other numbers of the headline, predicates, images."""
    by_key = {(number.metric.name, number.metric.k): number for number in comparison.headline}
    recall = by_key.pop(RECALL, None)
    return (
        *([_recall_sentence(comparison, recall)] if recall else []),
        *_others_sentences(comparison, tuple(by_key.values())),
        *([_predicates_sentence(comparison)] if comparison.found == "relationships" else []),
        _images_sentence(comparison),
        *_warnings(comparison, recall),
    )


def number_name(number: NumberDifference) -> str:
    """Such as `mean recall @ 50`."""
    k = "" if number.metric.k is None else f" @ {number.metric.k}"
    return name_in_words(number.metric) + k


def name_in_words(metric: Metric) -> str:
    """A number's name as it stands in a sentence, such as `box AP@50`."""
    return " ".join(ACRONYMS.get(word, word) for word in metric.name.split("_"))


def format_amount(value: float, number: NumberDifference) -> str:
    """The value as the table shows it: per cent, or a count per image; a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    return f"{100 * value:.2f}" if number.is_share else f"{value:.2f}"


def format_change(value: float, number: NumberDifference) -> str:
    """A signed difference: points of per cent, or a count per image."""
    if not math.isfinite(value):
        return "–"
    text = f"{100 * value if number.is_share else value:+.2f}"
    return (text[1:] if float(text) == 0 else text).replace("-", MINUS)


def _recall_sentence(comparison: Comparison, recall: NumberDifference) -> str:
    first, other = comparison.first, comparison.other
    difference, low, high = (abs(end) for end in recall.interval)
    if math.isnan(difference):
        return "No image has an annotated relationship: recall cannot be compared."
    if not (difference or low or high):
        return f"Image by image, {other} finds as many of the annotated relationships as {first}."
    if recall.change == "not shown":
        low_text, high_text = (format_change(end, recall) for end in recall.interval[1:])
        return (
            f"Whether {other} finds more of the annotated relationships than {first} or fewer is not shown: "
            f"{format_change(recall.interval.difference, recall)} points (95 % interval {low_text} to {high_text})."
        )
    low, high = sorted((low, high))
    return (
        f"{other} finds {format_amount(difference, recall)} points {'more' if recall.change == 'more' else 'fewer'} of "
        f"the annotated relationships than {first} (95 % interval {format_amount(low, recall)} to "
        f"{format_amount(high, recall)}): significant{f', but {few}' if (few := _few_telling(comparison)) else '.'}"
    )


def _others_sentences(comparison: Comparison, numbers: Sequence[NumberDifference]) -> list[str]:
    said: list[tuple[Outcome, str]] = [
        ("better", f"Significantly better in {comparison.other}"),
        ("worse", f"Significantly worse in {comparison.other}"),
        ("not shown", "Not shown to differ"),
    ]
    parts = []
    for outcome, words in said:
        named = [
            f"{number_name(number)} ({format_change(number.interval.difference, number)})"
            for number in numbers
            if number.outcome == outcome and not math.isnan(number.interval.difference)
        ]
        if named:
            parts.append(f"{words}: {', '.join(named)}.")
    return parts


def _predicates_sentence(comparison: Comparison) -> str:
    num_predicates = len(comparison.predicates)
    if not num_predicates:
        return "No predicate is annotated."
    by_change = {
        change: [each.predicate for each in comparison.predicates if each.change == change]
        for change in ("more", "less", "not shown")
    }
    if len(by_change["not shown"]) == num_predicates:
        return f"No predicate of {num_predicates} is shown to be found more or less often."
    shown = " and ".join(
        f"{len(names)} {change} often ({', '.join(names)})"
        for change, names in by_change.items()
        if names and change != "not shown"
    )
    return (
        f"Of {num_predicates} annotated predicates {comparison.other} finds {shown}; "
        f"of the other {len(by_change['not shown'])} nothing is shown."
    )


def _images_sentence(comparison: Comparison) -> str:
    won, lost, tied, not_counted = comparison.images
    found = comparison.found
    left = f"; {not_counted} without an annotated {found.rstrip('s')} do not count" if not_counted else ""
    return (
        f"{comparison.other} finds a larger share of the annotated {found} than {comparison.first} in {won} "
        f"images, a smaller one in {lost}, the same in {tied}{left}."
    )


def _warnings(comparison: Comparison, recall: NumberDifference | None) -> list[str]:
    """What few images leave open, where the sentence on recall has not said it."""
    few = few_images(comparison.num_images)
    if few:
        return [f"{few} Nothing is called better or worse."]
    is_said = recall is not None and recall.change != "not shown"
    few = "" if is_said else _few_telling(comparison)
    return [few[0].upper() + few[1:]] if few else []


def _few_telling(comparison: Comparison) -> str:
    """That the difference rests on few images, from the second word of a sentence on; empty where it does not."""
    num_telling = comparison.images.won + comparison.images.lost
    return f"only {num_telling} images tell the runs apart: {TOO_NARROW}" if 0 < num_telling < FEW_IMAGES else ""
