"""`ground_truth.jsonl`: every image of the split as annotated, so that gathering needs no data set."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from r1sgg_cli.data.checked_rows import checked_image_wh, checked_truth
from r1sgg_cli.errors import MALFORMED, AnswersError, R1SGGError, in_words
from r1sgg_cli.files import save_text
from r1sgg_cli.inference.run_record import load_bytes
from r1sgg_cli.scene_graph.graph import SceneGraph

GROUND_TRUTH_FILE = "ground_truth.jsonl"


@dataclass(frozen=True, slots=True)
class ImageTruth:
    """One image of the split as annotated, in pixels of the original image."""

    image_id: str
    image_wh: tuple[int, int]
    graph: SceneGraph


def save_ground_truth(truths: Iterable[ImageTruth], out_dir: Path) -> None:
    """Write `ground_truth.jsonl`, all of it or nothing. Raises `OutputError`."""
    lines = []
    for truth in truths:
        objects, relationships = truth.graph.to_rows()
        row = {"image_id": truth.image_id, "image_wh": truth.image_wh}
        lines.append(json.dumps(row | {"objects": objects, "relationships": relationships}, allow_nan=False) + "\n")
    save_text("".join(lines), out_dir / GROUND_TRUTH_FILE)


def load_ground_truth(out_dir: Path) -> tuple[ImageTruth, ...]:
    """Read `ground_truth.jsonl` in its own order. Raises `AnswersError` with the line number."""
    path = out_dir / GROUND_TRUTH_FILE
    return parse_truths(load_bytes(path), path, AnswersError, "cannot be read", "run `r1sgg infer` again")


def parse_truths(content: bytes, path: Path, kind: type[R1SGGError], said: str, way_out: str) -> tuple[ImageTruth, ...]:
    """The images of JSON lines that came from `path`, in their order; blank lines are passed over.

    Each states its size as `image_wh`, or as `width` and `height`. Raises an error of this kind that names the line:
    what is `said` of one that holds no image, and the `way_out`; or an id that two lines have.
    """
    truths: dict[str, ImageTruth] = {}
    for line_number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            truth = _parse_truth(line)
        except MALFORMED as error:
            raise kind(f"line {line_number} of `{path}` {said}: {in_words(error)}; {way_out}") from error
        if truth.image_id in truths:
            raise kind(f"line {line_number} of `{path}` repeats image `{truth.image_id}`; make the ids unique")
        truths[truth.image_id] = truth
    return tuple(truths.values())


def _parse_truth(line: bytes) -> ImageTruth:
    row = json.loads(line)
    image_wh = checked_image_wh((row["width"], row["height"]) if "width" in row else row["image_wh"])
    return ImageTruth(str(row["image_id"]), image_wh, checked_truth(row["objects"], row["relationships"], image_wh))
