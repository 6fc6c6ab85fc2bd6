"""What the readers' tests share."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data.annotations import AnnotatedImage
from r1sgg_cli.data.cleaning import CleaningRules, clean_image
from r1sgg_cli.data.faults import Tally
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.sources import open_source
from r1sgg_cli.scene_graph.graph import SceneGraph
from tests.data.annotated import image_file, images_of

Cleaned = Callable[[AnnotatedImage], tuple[SceneGraph, dict[str, int]]]


@pytest.fixture
def read_all() -> Callable[..., list[AnnotatedImage]]:
    """A function from a path (and reader options) to all its annotated images."""

    def read(path: Path, **options: Any) -> list[AnnotatedImage]:
        return images_of(open_source(str(path), None, ReadOptions(**options)))

    return read


@pytest.fixture
def cleaned() -> Cleaned:
    """A function from an annotated image to its graph, on a file of the stated size, and what was counted."""

    def clean(image: AnnotatedImage) -> tuple[SceneGraph, dict[str, int]]:
        tally = Tally(Counter(image.faults))
        graph = clean_image(image, image_file(image.image_wh or (100, 100)), CleaningRules(keep_empty=True), tally)
        assert graph is not None
        return graph, dict(tally.counts)

    return clean
