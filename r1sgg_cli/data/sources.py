"""Where a data set comes from: a source's splits, vocabulary and description, ready for `rows.save_rows`."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1sgg_cli.data.psg import load_psg, psg_rows
from r1sgg_cli.data.rows import Row
from r1sgg_cli.data.synthetic import VOCABULARY, SyntheticOptions, generate_rows
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Source:
    """Splits that can be written once, and what is known before they are."""

    splits: Mapping[str, Iterable[Row]]
    sizes: Mapping[str, int]
    vocabulary: Vocabulary
    description: Mapping[str, Any]
    repairs: Counter[str] = field(default_factory=Counter)
    """What was left out or mended; complete when the splits have been read."""


def synthetic_source(num_images: int, num_test: int, seed: int, drop_relationships: float) -> Source:
    """Generated scenes; only the train split is sparse, so that the test split can tell what was missed."""
    train = SyntheticOptions(num_images, seed, drop_relationships)
    test = SyntheticOptions(num_test, seed)
    return Source(
        {"train": generate_rows(train, "train"), "test": generate_rows(test, "test")},
        {"train": num_images, "test": num_test},
        VOCABULARY,
        {
            "source": "synthetic",
            "num_images": num_images,
            "num_test": num_test,
            "seed": seed,
            "drop_relationships": drop_relationships,
        },
    )


def psg_source(annotations: Path, images: Path | None, num_images: int | None, num_test: int | None) -> Source:
    """The train and test images of a PSG file, the first ones where a number is given. Raises `DataError`."""
    if not annotations.exists():
        raise DataError(f"no source `{annotations}`: give `synthetic`, or an annotation file such as `psg.json`")
    if images is None:
        raise DataError(f"`{annotations}` needs its photos: name their folder with `--images DIR`")
    psg = load_psg(annotations, images)
    train = [image for image in psg.images if not image.is_test][:num_images]
    test = [image for image in psg.images if image.is_test][:num_test]
    chosen = {name: found for name, found in (("train", train), ("test", test)) if found}
    return Source(
        {name: psg_rows(found, psg.repairs) for name, found in chosen.items()},
        {name: len(found) for name, found in chosen.items()},
        psg.vocabulary,
        {
            "source": annotations.name,
            "sha256": hashlib.sha256(annotations.read_bytes()).hexdigest(),
            "images": str(images),
            "num_images": num_images,
            "num_test": num_test,
        },
        psg.repairs,
    )
