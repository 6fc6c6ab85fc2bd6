"""What the command line can tell a reader."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Choices that decide what a source is, before anything is cleaned or filtered."""

    images_dir: Path | None = None
    """Where the images are; None: beside the annotations."""
    num_val: int | None = None
    """VG150: so many of the first training images are the validation split; None: 5,000 of the published file."""
    keep_empty: bool = False
    """VG150 counts its validation images after those without a relationship are out, unless they are kept."""
