"""The images of a split from a file of JSON lines, for answers that do not say themselves what they are about.

    {"image_id": "2374294", "width": 1280, "height": 720, "objects": [{"id": "light.1", "bbox": [x1, y1, x2, y2]}, …],
     "relationships": [{"subject": "woman.5", "predicate": "wears", "object": "hat.3"}, …]}

Boxes are pixels. The `ground_truth.jsonl` of a folder of answers, which has `image_wh`, is read as well.
"""

import json
from pathlib import Path

from r1sgg_cli.data.checked_rows import checked_image_wh, checked_truth
from r1sgg_cli.errors import MALFORMED, DataError, in_words
from r1sgg_cli.inference.ground_truth import ImageTruth


def load_jsonl_truths(path: Path) -> tuple[ImageTruth, ...]:
    """Every image of the file, in its order. Raises `DataError` that names the line."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}; name a data set that can be") from error
    truths: dict[str, ImageTruth] = {}
    for line_number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            truth = _parse_line(line)
        except MALFORMED as error:
            raise DataError(
                f"line {line_number} of `{path}` is no annotated image: {in_words(error)}; each holds `image_id`,"
                " `width`, `height`, `objects` and `relationships`"
            ) from error
        if truth.image_id in truths:
            raise DataError(f"line {line_number} of `{path}` repeats image `{truth.image_id}`; make the ids unique")
        truths[truth.image_id] = truth
    if not truths:
        raise DataError(f"`{path}` holds no image; name another data set")
    return tuple(truths.values())


def _parse_line(line: bytes) -> ImageTruth:
    row = json.loads(line)
    image_wh = checked_image_wh(row.get("image_wh") or (row["width"], row["height"]))
    return ImageTruth(str(row["image_id"]), image_wh, checked_truth(row["objects"], row["relationships"], image_wh))
