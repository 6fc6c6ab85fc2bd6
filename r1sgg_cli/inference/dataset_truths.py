"""The images of a split from the data set that was asked, sizes and ground truth; no picture is decoded."""

from r1sgg_cli.data.rows import load_rows, parse_ground_truth, sized_rows
from r1sgg_cli.errors import DataError
from r1sgg_cli.inference.ground_truth import ImageTruth


def load_dataset_truths(dataset: str, split: str | None) -> tuple[ImageTruth, ...]:
    """Every image of the split, in its order. Raises `DataError`."""
    rows = load_rows(dataset, split)
    if len(set(rows["image_id"])) != len(rows):
        raise DataError(f"`{dataset}` repeats image ids, so its answers could not be told apart")
    return tuple(
        ImageTruth(
            row["image_id"],
            image_wh,
            parse_ground_truth(row["image_id"], row["objects"], row["relationships"], image_wh),
        )
        for row, image_wh in sized_rows(rows)
    )
