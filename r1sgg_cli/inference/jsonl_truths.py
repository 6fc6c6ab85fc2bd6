"""The images of a split from a file of JSON lines, for answers that do not say themselves what they are about.

    {"image_id": "2374294", "width": 1280, "height": 720, "objects": [{"id": "light.1", "bbox": [x1, y1, x2, y2]}, …],
     "relationships": [{"subject": "woman.5", "predicate": "wears", "object": "hat.3"}, …]}

Boxes are pixels. The `ground_truth.jsonl` of a folder of answers, which has `image_wh`, is read as well.
"""

from pathlib import Path

from r1sgg_cli.errors import DataError
from r1sgg_cli.inference.ground_truth import ImageTruth, parse_truths


def load_jsonl_truths(path: Path) -> tuple[ImageTruth, ...]:
    """Every image of the file, in its order. Raises `DataError` that names the line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}; name a data set that can be") from error
    needed = "each holds `image_id`, `width`, `height`, `objects` and `relationships`"
    truths = parse_truths(content, path, DataError, "is no annotated image", needed)
    if not truths:
        raise DataError(f"`{path}` holds no image; name another data set")
    return truths
