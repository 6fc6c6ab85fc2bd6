"""What `r1sgg prepare` prints of a data set: what was met in its annotations, and what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from r1sgg_cli.data.faults import Tally
    from r1sgg_cli.data.prepare import Prepared


def print_met(tally: Tally, console: Console) -> None:
    """One line for each kind of fault and for each kind that was left out by choice."""
    from r1sgg_cli.data.faults import FAULTS, FILTERS

    if not tally.counts:
        return
    table = Table("kind", "times", "such as", "what it is, and the rule", title="what was met", title_justify="left")
    table.columns[0].no_wrap = True
    table.columns[1].justify = "right"
    rules = {**{kind: f"{meaning}: {rule}" for kind, (meaning, rule) in FAULTS.items()}, **FILTERS}
    for kind, rule in rules.items():
        if tally.counts[kind]:
            table.add_row(kind, str(tally.counts[kind]), escape(tally.examples[kind]), escape(rule))
    console.print(table, soft_wrap=False)


def print_published(done: Prepared, published: Mapping[str, int], console: Console) -> None:
    """The number of images of each split beside the one that the field's papers state."""
    for split, expected in published.items():
        written = done.statistics[split].num_images if split in done.statistics else 0
        if written == expected:
            console.print(f"{split}: {written} images, the published number")
        else:
            console.print(
                f"[yellow]{split}: {written} images, {expected} are published[/]; the table says what differs"
            )


def description_table(done: Prepared) -> Table:
    """What each split holds."""
    columns = (
        "split",
        "images",
        "objects",
        "relation-\nships",
        "a piece",
        "object\nnames",
        "predi-\ncates",
        "triplets",
    )
    table = Table(*columns)
    for split, found in done.statistics.items():
        num_images = max(1, found.num_images)
        numbers = (found.num_images, found.num_objects, found.num_relationships)
        a_piece = f"{found.num_objects / num_images:.1f} / {found.num_relationships / num_images:.1f}"
        names = (len(found.objects), len(found.predicates), len(found.triplets))
        table.add_row(split, *map(str, numbers), a_piece, *map(str, names))
    for column in table.columns[1:]:
        column.justify = "right"
    return table
