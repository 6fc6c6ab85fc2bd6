"""Bars tell counts, shares, head and tail; bins hold every number."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.report.histograms import (
    HEIGHT,
    LEFT,
    MAX_BINS,
    MAX_TAIL,
    NUM_BARS,
    WIDTH,
    count_histogram,
    label_histogram,
    percent,
    quantile,
    side_histogram,
)


def test_labels_are_ordered_by_count_then_by_name() -> None:
    histogram = label_histogram(Counter({"b": 2, "a": 2, "c": 4}), "names")
    assert [(bar.label, bar.count, bar.share, bar.length) for bar in histogram.bars] == [
        ("c", 4, "50 %", 100),
        ("a", 2, "25 %", 50),
        ("b", 2, "25 %", 50),
    ]
    assert (histogram.total, histogram.num_labels, histogram.tail) == (8, 3, "")


def test_head_and_tail_are_marked_where_half_and_nine_tenths_are_reached() -> None:
    histogram = label_histogram(Counter({"a": 60, "b": 25, "c": 8, "d": 4, "e": 3}), "names")
    assert [bar.band for bar in histogram.bars] == ["head", "middle", "middle", "tail", "tail"]
    assert [bar.mark for bar in histogram.bars] == [
        "half of all, with 1 of 5 names",
        "",
        "90 % of all, with 3 of 5 names",
        "",
        "",
    ]


def test_a_long_tail_is_summed_up_and_listed() -> None:
    counts = Counter({f"{i:04}": 100 if i < NUM_BARS else 1 for i in range(NUM_BARS + MAX_TAIL + 5)})
    histogram = label_histogram(counts, "names")
    assert histogram.tail == f"and {MAX_TAIL + 5} more with 9.2 % of all"
    assert len(histogram.tail_labels) == MAX_TAIL
    assert histogram.num_unlisted == 5
    assert histogram.facts == (f"{MAX_TAIL + 5} of {len(counts)} names occur fewer than 10 times.",)


def test_the_vocabulary_is_compared() -> None:
    facts = label_histogram(Counter({"on": 20, "atop": 12}), "predicates", ["on", "near", "in"]).facts
    assert facts == ("2 of the vocabulary’s 3 never occur: in, near.", "1 are not in the vocabulary: atop.")


def test_nothing_counted_has_no_bars() -> None:
    histogram = label_histogram(Counter(), "names")
    assert (histogram.bars, histogram.tail, histogram.facts) == ((), "", ())


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "–"),
        (0, 9, "0 %"),
        (9, 9, "100 %"),
        (1, 3, "33 %"),
        (1, 30, "3.3 %"),
        (1, 3000, "0.03 %"),
        (1, 10**6, "< 0.01 %"),
    ],
)
def test_shares_have_the_digits_that_matter(part: int, whole: int, text: str) -> None:
    assert percent(part, whole) == text


@pytest.mark.parametrize(
    ("counts", "share", "expected"), [({3: 1}, 0.5, 3), ({1: 5, 9: 5}, 0.5, 1), ({1: 5, 9: 6}, 0.5, 9), ({2: 1}, 1, 2)]
)
def test_quantiles_come_from_counts(counts: dict[int, int], share: float, expected: int) -> None:
    assert quantile(counts, share) == expected


def test_each_number_has_its_bar() -> None:
    histogram = count_histogram("Objects", "objects", {1: 4, 2: 1, 4: 5})
    assert histogram is not None
    assert [bar.hover for bar in histogram.bars] == [
        "1: 4 images (40 %)",
        "2: 1 images (10 %)",
        "3: 0 images (0 %)",
        "4: 5 images (50 %)",
    ]
    assert histogram.facts == "median 2, mean 2.6, at most 4"


def test_rare_large_numbers_share_the_last_bin() -> None:
    histogram = count_histogram("Objects", "objects", {**dict.fromkeys(range(50), 100), 466: 1})
    assert histogram is not None
    assert [bar.label for bar in histogram.bars][-2:] == ["45–49", "50+"]
    assert histogram.bars[-1].hover.startswith("50+: 1 images")


@given(st.dictionaries(st.integers(0, 1000), st.integers(1, 10**6), min_size=1, max_size=30))
def test_bars_stay_inside_and_hold_every_image(images_with: dict[int, int]) -> None:
    histogram = count_histogram("Objects", "objects", images_with)
    assert histogram is not None
    assert len(histogram.bars) <= MAX_BINS + 2
    assert sum(int(bar.hover.split(": ")[1].split()[0].replace(",", "")) for bar in histogram.bars) == sum(
        images_with.values()
    )
    for bar in histogram.bars:
        assert bar.x >= LEFT
        assert bar.x + bar.width <= WIDTH
        assert 0 <= bar.y <= bar.y + bar.height <= HEIGHT


def test_box_sides_are_doubling_bins_that_say_so() -> None:
    histogram = side_histogram({0: 1, 2: 3, 5: 4})
    assert histogram is not None
    assert [bar.label for bar in histogram.bars] == ["< 2", "2–4", "4–8", "8–16", "16–32", "32–64"]
    assert "log scale" in histogram.x_label
    assert histogram.facts == "median 4–8 px; 50 % are below 32 px; each bin is twice as wide as the last"


def test_without_numbers_there_is_no_histogram() -> None:
    assert count_histogram("Objects", "objects", {}) is None
    assert side_histogram({}) is None
