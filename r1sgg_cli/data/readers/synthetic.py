"""Generated scenes as a source; only the training split is sparse, so that the test split can tell what was missed."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotationSource
from r1sgg_cli.data.readers.rows import annotated_row
from r1sgg_cli.data.synthetic import VOCABULARY, SyntheticOptions, SyntheticSplit, generate_rows


def open_synthetic(num_images: int, num_test: int, seed: int, drop_relationships: float) -> AnnotationSource:
    """Training and test scenes. Raises `DataError` for numbers that make none."""
    options: dict[SyntheticSplit, SyntheticOptions] = {
        "train": SyntheticOptions(num_images, seed, drop_relationships),
        "test": SyntheticOptions(num_test, seed),
    }
    return AnnotationSource(
        layout="synthetic",
        files=(),
        images_dir=Path(),
        read=partial(_read, options),
        num_images={split: of_split.num_images for split, of_split in options.items()},
        vocabulary=VOCABULARY,
        details={
            "num_images": num_images,
            "num_test": num_test,
            "seed": seed,
            "drop_relationships": drop_relationships,
        },
    )


def _read(options: dict[SyntheticSplit, SyntheticOptions]) -> Iterator[AnnotatedImage]:
    for split, of_split in options.items():
        for row in generate_rows(of_split, split):
            yield annotated_row(row, split)
