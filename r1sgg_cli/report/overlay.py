"""Boxes and labels over a photo, laid out in units of a panel that is about 240 CSS pixels wide."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from r1sgg_cli.report.verdicts import Verdict
from r1sgg_cli.scene_graph.graph import SceneGraph

PANEL_WH = (240.0, 300.0)
"""A photo is scaled to fit into this; a panel's SVG then scales with the page, text and strokes included."""
MAX_PIXELS_SIDE = 640
"""Larger photos are shrunk before they go into the page."""
MAX_PNG_SIDE = 200
"""Photos up to this side are kept without loss."""
MAX_BOXES = 40
MAX_NAMED_BOXES = 8
MAX_LABEL_LENGTH = 26
FONT_SIZE = 11.0
LABEL_HEIGHT = 14.0

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Label:
    """A text on its plate."""

    x: float
    y: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class BoxView:
    """One object over the photo."""

    x: float
    y: float
    width: float
    height: float
    mark: Verdict
    name: str
    """The whole name, also where the label had to be cut."""
    label: Label


@dataclass(frozen=True, slots=True)
class Photo:
    """An image as it goes into the page, once, however many panels show it."""

    data_uri: str
    view_wh: tuple[float, float]


def encode_photo(image: Image.Image, panel_wh: tuple[float, float] = PANEL_WH) -> Photo:
    """The image as a data URI (small ones without loss) and the size that its panels give it."""
    scale = min(panel_wh[0] / image.width, panel_wh[1] / image.height)
    view_wh = (round(image.width * scale, 2), round(image.height * scale, 2))
    image = image.convert("RGB")
    buffer = io.BytesIO()
    if max(image.size) <= MAX_PNG_SIDE:
        image.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        image.thumbnail((MAX_PIXELS_SIDE, MAX_PIXELS_SIDE))
        image.save(buffer, "JPEG", quality=85)
        kind = "jpeg"
    return Photo(f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}", view_wh)


def is_crowded(graph: SceneGraph) -> bool:
    """Whether names would hide the photo, so that its boxes carry numbers only."""
    return len(graph.ids) > MAX_NAMED_BOXES


def object_labels(graph: SceneGraph) -> tuple[str, ...]:
    """One label per object, unique in the graph: the name, with a number where one is needed.

    A crowded graph numbers all its objects through; another one only those that share their name.
    """
    if is_crowded(graph):
        return tuple(f"{name} {number}" for number, name in enumerate(graph.names, start=1))
    seen: dict[str, int] = {}
    labels = []
    for name in graph.names:
        seen[name] = seen.get(name, 0) + 1
        labels.append(f"{name} {seen[name]}" if graph.names.count(name) > 1 else name)
    return tuple(labels)


def lay_out_boxes(
    graph: SceneGraph, marks: Sequence[Verdict], view_wh: tuple[float, float], shown: Sequence[int] | None = None
) -> tuple[BoxView, ...]:
    """The objects `shown` of a graph, else its first `MAX_BOXES`, over a photo that is shown at `view_wh`."""
    boxes = graph.rescaled(view_wh).boxes_xyxy.tolist()
    placed: list[Rectangle] = []
    views = []
    names = object_labels(graph)
    texts = [name.rpartition(" ")[2] for name in names] if is_crowded(graph) else names
    for i in range(min(len(boxes), MAX_BOXES)) if shown is None else shown:
        left, top, right, bottom = boxes[i]
        label = _place_label(shortened(texts[i]), (left, top, right, bottom), view_wh, placed)
        placed.append((label.x, label.y, label.x + label.width, label.y + LABEL_HEIGHT))
        x, y, width, height = (round(value, 1) for value in (left, top, right - left, bottom - top))
        views.append(BoxView(x, y, width, height, marks[i], names[i], label))
    return tuple(views)


def num_hidden_boxes(graph: SceneGraph) -> int:
    """How many objects are beyond the first `MAX_BOXES`."""
    return max(0, len(graph.ids) - MAX_BOXES)


def largest_first(graph: SceneGraph, objects: Iterable[int]) -> list[int]:
    """The objects by the area of their boxes, so that none hides a smaller one from the pointer; of equals by index."""
    sides = graph.boxes_xyxy[:, 2:] - graph.boxes_xyxy[:, :2]
    return sorted(objects, key=lambda i: (-float(sides[i].prod()), i))


def shortened(text: str, limit: int = MAX_LABEL_LENGTH) -> str:
    """The text, cut to `limit` characters with a sign that it was."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _place_label(text: str, box: Rectangle, view_wh: tuple[float, float], placed: Sequence[Rectangle]) -> Label:
    """The first free place of: above the box, below it, inside at the top, inside at the bottom; left, then right."""
    left, top, right, bottom = box
    width = text_width(text) + 6
    candidates = [
        (x, y)
        for y in (top - LABEL_HEIGHT, bottom, top, bottom - LABEL_HEIGHT)
        for x in (left, right - width)
        if 0 <= y <= view_wh[1] - LABEL_HEIGHT
    ] or [(left, 0.0)]
    rectangles = []
    for x, y in candidates:
        x = max(0.0, min(x, view_wh[0] - width))
        rectangles.append((x, y, x + width, y + LABEL_HEIGHT))
    best = min(rectangles, key=lambda place: sum(_overlap(place, other) for other in placed))
    return Label(round(best[0], 1), round(best[1], 1), round(width, 1), text)


def _overlap(a: Rectangle, b: Rectangle) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def text_width(text: str, font_size: float = FONT_SIZE) -> float:
    """About how wide a sans-serif font sets the text; the SVG's `textLength` makes it exact."""
    narrow, wide = " iljtf.,'|!I", "mwMW@%…"
    shares = (0.27 if c in narrow else 0.85 if c in wide else 0.58 if ord(c) < 0x2E80 else 1.0 for c in text)
    return round(font_size * sum(shares), 1)
