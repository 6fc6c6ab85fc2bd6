"""Sources made of values, for the tests of what becomes of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotationSource
from tests.data.annotated import annotated


def source_of(*images: AnnotatedImage, images_dir: Path = Path(), **changes: Any) -> AnnotationSource:
    source = AnnotationSource("jsonl", (), images_dir, lambda: images, Counter(image.split for image in images))
    return replace(source, **changes)


def numbered(count: int, **changes: Any) -> list[AnnotatedImage]:
    return [annotated(image_id=str(number), **changes) for number in range(count)]


def interrupted(images: Iterable[AnnotatedImage], after: int) -> Iterable[AnnotatedImage]:
    for number, image in enumerate(images):
        if number == after:
            raise KeyboardInterrupt
        yield image
