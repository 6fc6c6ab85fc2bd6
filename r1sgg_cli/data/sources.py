"""Where a data set comes from: what a user names becomes an `AnnotationSource`."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotationSource, StrayAnnotations
from r1sgg_cli.data.draw import place_in_draw
from r1sgg_cli.data.readers import READERS
from r1sgg_cli.data.readers.detect import detect_layout
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.readers.rows import open_published, open_rows
from r1sgg_cli.data.vocabularies import PUBLISHED
from r1sgg_cli.errors import DataError
from r1sgg_cli.typed_names import closest_beside

HUB = "hub:"
VG150_FILES = "vg150-h5"
"""The layout that `vg150` means where files are named with it."""


def open_source(name: str, path: Path | None, options: ReadOptions) -> AnnotationSource:
    """The source that a command names: a published set, `hub:NAME`, a layout and its files, or files alone.

    Raises `DataError` on a name or a path that is none of these.
    """
    if path is not None:
        layout = VG150_FILES if name == "vg150" else name
        if layout not in READERS:
            close = difflib.get_close_matches(name, READERS, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"layouts are {', '.join(READERS)}"
            raise DataError(f"no layout `{name}`; {hint}")
        return READERS[layout](_existing(path), options)
    is_path = Path(name).exists()
    if name in READERS and name not in PUBLISHED and not is_path:
        raise DataError(f"`{name}` needs its files: `r1sgg prepare {name} PATH --out DIR`")
    if name == HUB:
        raise DataError("`hub:` needs a name, as in `hub:OWNER/NAME`")
    if name.startswith(HUB) or (name in PUBLISHED and not is_path):
        return _with_own_images(options, name)
    layout, found = detect_layout(_existing(Path(name), words=("synthetic", *PUBLISHED, *READERS)))
    return _with_own_images(options, str(found)) if layout == "rows" else READERS[layout](found, options)


def _with_own_images(options: ReadOptions, name: str) -> AnnotationSource:
    """A data set that holds its images itself."""
    if options.images_dir is not None:
        raise DataError(f"`{name}` holds its images itself; leave out `--images`")
    return open_published(name) if name in PUBLISHED else open_rows(name.removeprefix(HUB))


def _existing(path: Path, words: Iterable[str] = ()) -> Path:
    """The path, if something is there; `words` are what else might have been meant."""
    if path.exists():
        return path
    words = () if path.suffix else words  # `psg.json` is no misspelt `jsonl`
    close = closest_beside(path) or next(iter(difflib.get_close_matches(str(path), words, n=1)), None)
    hint = f"did you mean `{close}`?" if close else "give annotation files, `synthetic`, or `hub:OWNER/NAME`"
    raise DataError(f"no file or folder `{path}`; {hint}")


def hold_out(source: AnnotationSource, test_share: float, seed: int) -> AnnotationSource:
    """The source with a share of its annotated images in a `test` split, drawn by their ids and the seed.

    Raises `DataError` where the source has splits of its own, and for a share that is not one image.
    """
    if set(source.num_images) - {"train"}:
        raise DataError(f"the source has its own splits ({', '.join(source.num_images)}); leave out `--test-share`")
    ids = {image.image_id for image in source.read() if isinstance(image, AnnotatedImage)}
    num_test = round(len(ids) * test_share)
    if ids and test_share and not num_test:
        given = f"`--test-share {test_share}` of {len(ids)} images is none"
        raise DataError(f"{given}; give {1 / len(ids):.2g} or more, or leave it out")
    held_out = frozenset(sorted(ids, key=lambda image_id: place_in_draw(image_id, seed))[:num_test])
    return replace(
        source,
        read=partial(_held_out, source, held_out),
        num_images={"train": len(ids) - len(held_out), "test": len(held_out)},
        details={**source.details, "test_share": test_share, "test_seed": seed},
    )


def _held_out(source: AnnotationSource, held_out: frozenset[str]) -> Iterator[AnnotatedImage | StrayAnnotations]:
    for image in source.read():
        if isinstance(image, AnnotatedImage) and image.image_id in held_out:
            image = replace(image, split="test")
        yield image
