"""Which images of a source are taken, and how they are cut into chunks.

A chunk is a fixed number of images of one split in the source's order, so that the same command finds its finished
chunks again.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotationSource, StrayAnnotations
from r1sgg_cli.data.chunks import Chunk, strict_error
from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.faults import Tally
from r1sgg_cli.errors import DataError

CHUNK_SIZE = 256
"""Images of one shard: what a killed run does again, about 30 MB of photos."""
CHUNK_BYTES = 1 << 26
"""Where the source holds the photos themselves, a chunk ends with so many bytes of them."""
SPLIT_NAME = re.compile(r"\w+")
"""What `datasets` takes as the name of a split, and what is a file's name."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which images of a source are taken."""

    splits: frozenset[str] | None = None
    """None: all."""
    limit: int | None = None
    """The first so many of each split, as they are annotated; None: all."""

    def of(self, num_images: Mapping[str, int]) -> dict[str, int]:
        """How many images of each split are taken, of those that are there."""
        limit = max(num_images.values(), default=0) if self.limit is None else self.limit
        taken = (split for split in num_images if self.splits is None or split in self.splits)
        return {split: min(limit, num_images[split]) for split in taken}


class Cutter:
    """Cuts the images of a source into chunks, each of one split; images with an id used before go to a tally."""

    def __init__(
        self, source: AnnotationSource, rules: CleaningRules, selection: Selection, work: Path | None, strict: bool
    ) -> None:
        """`work`: the folder for shards; None writes none."""
        self.tally = Tally()
        self._source, self._rules, self._selection = source, rules, selection
        self._work, self._strict = work, strict
        self._waiting: dict[str, list[AnnotatedImage]] = {}
        self._taken: Counter[str] = Counter()
        self._numbers: Counter[str] = Counter()

    def chunks(self) -> Iterator[tuple[str, Chunk]]:
        """Split and chunk, in the source's order. Raises `DataError` as reading does."""
        for image in self._images():
            waiting = self._waiting.setdefault(image.split, [])
            waiting.append(image)
            num_bytes = sum(len(each.image) for each in waiting if isinstance(each.image, bytes))
            if len(waiting) == CHUNK_SIZE or num_bytes >= CHUNK_BYTES:
                yield self._chunk(image.split)
        for split in self._waiting:
            if self._waiting[split]:
                yield self._chunk(split)

    def _chunk(self, split: str) -> tuple[str, Chunk]:
        images, self._waiting[split] = tuple(self._waiting[split]), []
        shard = self._work / f"{split}-{self._numbers[split]:05d}.arrow" if self._work else None
        self._numbers[split] += 1
        return split, Chunk(images, self._source.images_dir, self._rules, self._strict, shard)

    def _images(self) -> Iterator[AnnotatedImage]:
        """The images that are taken, each id once."""
        ids: set[str] = set()
        for image in self._source.read():
            if isinstance(image, StrayAnnotations):
                self._count("stray_annotation", image.file, image.number)
            elif image.image_id in ids:
                self._count("repeated_image", image.image_id, 1)
            elif self._takes(image):
                ids.add(image.image_id)
                self._taken[image.split] += 1
                yield image
            elif self._is_full():
                return  # a trial on a large set reads no more of it than it needs

    def _takes(self, image: AnnotatedImage) -> bool:
        splits, limit = self._selection.splits, self._selection.limit
        if not SPLIT_NAME.fullmatch(image.split):
            raise DataError(
                f"image `{image.image_id}`: `{image.split}` is no name of a split; use letters, digits, `_`"
            )
        return (splits is None or image.split in splits) and (limit is None or self._taken[image.split] < limit)

    def _is_full(self) -> bool:
        """Whether no split takes another image; how many a split has is known only after reading it."""
        limit = self._selection.limit
        splits = self._source.num_images if self._selection.splits is None else self._selection.splits
        return limit is not None and bool(splits) and all(self._taken[split] >= limit for split in splits)

    def _count(self, kind: str, example: str, number: int) -> None:
        self.tally.add(kind, example, number)
        if self._strict:
            raise strict_error(self.tally)
