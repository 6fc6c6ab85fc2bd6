"""One annotated image as any source states it: what readers yield and `cleaning` turns into a scene graph.

Nothing is judged here. Boxes may leave the image, ends of relationships may name no object: a reader translates a
layout, and one place decides what becomes of each fault (`faults.FAULTS`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from r1sgg_cli.scene_graph.vocabulary import Vocabulary

BoxUnit = Literal["pixels", "fractions", "long_side_1024"]
"""Pixels of an image of the stated size; fractions of its width and height; pixels of the image scaled so that its
longer side has 1024 of them (VG150)."""

Split = str
"""`train`, `val` or `test`; a data set on the hub may have others."""


class AnnotatedObject(NamedTuple):
    """A named box; `key` is what relationships call it by."""

    key: Any
    name: str | None
    """None where the source's own list of names lacks it."""
    box_xyxy: Any
    """Four numbers if all is well; whatever the file holds otherwise."""


class AnnotatedRelationship(NamedTuple):
    """Both ends are keys of objects."""

    subject: Any
    predicate: str
    object: Any


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image with its objects and relationships, in the order of the source."""

    image_id: str
    split: Split
    image: bytes | tuple[str, ...]
    """The encoded file, or where it may lie: paths to try, from the folder of images."""
    image_wh: tuple[int, int] | None
    """As the annotation states it; the file has the last word."""
    objects: tuple[AnnotatedObject, ...]
    relationships: tuple[AnnotatedRelationship, ...]
    unit: BoxUnit = "pixels"
    faults: Mapping[str, int] = field(default_factory=dict)
    """Kinds of `faults.FAULTS` that only the reader could see, with how often it met them."""
    prompt_open: str = ""
    prompt_close: str = ""


class StrayAnnotations(NamedTuple):
    """Annotations of images that a file does not list."""

    file: str
    number: int


@dataclass(frozen=True, slots=True)
class AnnotationSource:
    """Everything a reader knows about its files before it reads them through."""

    layout: str
    """Name of the layout, as the command line knows it."""
    files: tuple[Path, ...]
    """What was read; their contents identify the source."""
    images_dir: Path
    """Where `AnnotatedImage.image` starts from."""
    read: Callable[[], Iterable[AnnotatedImage | StrayAnnotations]]
    """All images, in the same order at each call; raises `DataError` on a file that is not in the layout."""
    num_images: Mapping[Split, int]
    """Images of each split as far as known beforehand, for progress bars; may be empty."""
    vocabulary: Vocabulary | None = None
    """The source's own closed lists of names; None where it has none and the names met make the lists."""
    published: Mapping[bool, Mapping[Split, int]] = field(default_factory=dict)
    """How many images the field's papers state for this very file, without and with the non-overlap filter."""
    notes: tuple[str, ...] = ()
    """What a user should know about how the source was read."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Options and facts that, with `files`, decide what is read; JSON values."""
