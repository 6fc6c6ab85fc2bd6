"""The page of a data set: for each split its labels by count, its sizes, and samples with their graphs drawn."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from datasets import Dataset

from r1sgg_cli.counted import counted
from r1sgg_cli.errors import DataError
from r1sgg_cli.files import save_text
from r1sgg_cli.report.counts import SplitCounts, count_split
from r1sgg_cli.report.histograms import (
    LabelHistogram,
    NumberHistogram,
    count_histogram,
    label_histogram,
    side_histogram,
)
from r1sgg_cli.report.node_layout import WIDTH
from r1sgg_cli.report.rendering import render_html
from r1sgg_cli.report.samples import Sample, read_sample
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

MARK = "r1sgg view"
"""How a page says what it is, near its beginning, so that nothing else is ever replaced."""
NUM_COLOURS = 10
MAX_OPEN_TRIPLETS = 14


@dataclass(frozen=True, slots=True)
class SplitSection:
    """One split on the page."""

    name: str
    totals: str
    objects: LabelHistogram
    predicates: LabelHistogram
    distributions: tuple[NumberHistogram, ...]
    chosen: str
    """How the samples were chosen."""
    samples: tuple[Sample, ...]


def write_view_page(
    path: Path,
    *,
    title: str,
    splits: Mapping[str, Dataset],
    chosen: Mapping[str, Sequence[int]],
    rule: str,
    vocabulary: Vocabulary | None,
) -> None:
    """Write the page of a data set. Raises `DataError` on a bad row and `OutputError`.

    `chosen` are the rows of each split that are shown as samples, by index; `rule` says how they were chosen.
    """
    sections = [_section(name, rows, chosen[name], rule, vocabulary) for name, rows in splits.items()]
    most = max((len(sample.graph.numbers) for section in sections for sample in section.samples), default=0)
    html = render_html(
        "view.html.jinja",
        mark=MARK,
        title=title,
        sections=sections,
        num_colours=NUM_COLOURS,
        num_partners=most,
        max_open=MAX_OPEN_TRIPLETS,
        width=WIDTH,
    )
    save_text(html, path)


def sample_indices(splits: Mapping[str, Dataset], num_images: int, seed: int) -> dict[str, list[int]]:
    """At most `num_images` different row indices in all, drawn at random, shared evenly between the splits."""
    chosen = {}
    left = num_images
    # The smallest split first: what it cannot give goes to the others.
    for position, name in enumerate(sorted(splits, key=lambda name: len(splits[name]))):
        number = min(len(splits[name]), math.ceil(left / (len(splits) - position)))
        chosen[name] = sorted(Random(f"{seed} {name}").sample(range(len(splits[name])), number))
        left -= number
    return {name: chosen[name] for name in splits}


def indices_of(splits: Mapping[str, Dataset], image_ids: Sequence[str]) -> dict[str, list[int]]:
    """Row indices of the images named, in the order of the rows. Raises `DataError` with the closest ids."""
    found = {}
    known: set[str] = set()
    for name, rows in splits.items():
        ids = rows.select_columns("image_id")["image_id"][:]
        found[name] = [i for i, image_id in enumerate(ids) if image_id in image_ids]
        known.update(ids)
    for image_id in image_ids:
        if image_id not in known:
            close = ", ".join(
                f"`{other}`" for other in difflib.get_close_matches(image_id, sorted(known), n=3, cutoff=0)
            )
            raise DataError(
                f"no image `{image_id}` in {', '.join(splits)}; the closest ids: {close or 'none, it is empty'}"
            )
    return found


def _section(name: str, rows: Dataset, chosen: Sequence[int], rule: str, vocabulary: Vocabulary | None) -> SplitSection:
    counts = count_split(rows)
    return SplitSection(
        name,
        _totals(counts),
        label_histogram(counts.objects, "names", vocabulary.objects if vocabulary else ()),
        label_histogram(counts.predicates, "predicates", vocabulary.predicates if vocabulary else ()),
        _distributions(counts),
        f"{len(chosen)} of {counted(counts.num_images, 'image')}, {rule}.",
        tuple(read_sample(rows, index) for index in chosen),
    )


def _totals(counts: SplitCounts) -> str:
    objects = f"{counted(counts.objects.total(), 'object')} of {counted(len(counts.objects), 'name')}"
    relationships = counted(counts.predicates.total(), "relationship")
    return " · ".join(
        (
            counted(counts.num_images, "image"),
            objects,
            f"{relationships} with {counted(len(counts.predicates), 'predicate')}",
        )
    )


def _distributions(counts: SplitCounts) -> tuple[NumberHistogram, ...]:
    drawn = (
        count_histogram("Objects per image", "objects", counts.objects_per_image),
        count_histogram("Relationships per image", "relationships", counts.relationships_per_image),
        side_histogram(counts.box_sides),
    )
    return tuple(histogram for histogram in drawn if histogram is not None)
