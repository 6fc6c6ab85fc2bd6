"""Graphs as pictures: boxes over the photo, of one answer or of a kept rollout's best beside the truth."""

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from r1sgg_cli.data.rollouts import Rollout
from r1sgg_cli.metrics.objects import match_objects
from r1sgg_cli.report.curves import format_number
from r1sgg_cli.report.overlay import FONT_SIZE, LABEL_HEIGHT, PANEL_WH, BoxView, lay_out_boxes
from r1sgg_cli.report.run_gallery import by_reward
from r1sgg_cli.report.verdicts import Verdict
from r1sgg_cli.scene_graph.graph import SceneGraph

SCALE = 2
"""Pixels for one unit of a panel's layout."""
CAPTION_HEIGHT = 18
GAP = 8
COLOURS: dict[Verdict, str] = {"truth": "#1f2429", "matched": "#0063a6", "wrong": "#b34700", "missed": "#6b6f76"}


def draw_rollout(rollout: Rollout, image: Image.Image) -> Image.Image:
    """The best answer's boxes (orange: no annotated object has that name there) beside the annotated ones."""
    answer = rollout.answers[by_reward(rollout.answers)[0]]
    reward = "no reward" if answer.reward is None else f"reward {format_number(answer.reward)}"
    if answer.graph is None:
        said = f"{reward}: no graph ({answer.failure})"
        panels = [_panel(image, None, (), said)]
    else:
        found = {predicted for _, predicted in match_objects(rollout.truth, answer.graph)}
        marks: list[Verdict] = ["matched" if i in found else "wrong" for i in range(len(answer.graph.ids))]
        panels = [_panel(image, answer.graph, marks, f"best of {len(rollout.answers)}: {reward}")]
    panels.append(_panel(image, rollout.truth, ["truth"] * len(rollout.truth.ids), "ground truth"))
    width, height = sum(panel.width for panel in panels) + GAP, panels[0].height
    both = Image.new("RGB", (width, height), "white")
    both.paste(panels[0], (0, 0))
    both.paste(panels[1], (panels[0].width + GAP, 0))
    return both


def draw_graph(image: Image.Image, graph: SceneGraph, caption: str) -> Image.Image:
    """The graph's boxes and names over the photo, at about 1,000 pixels along its longer side."""
    return _panel(image, graph, ["matched"] * len(graph.ids), caption, 2 * SCALE)


def _panel(
    image: Image.Image, graph: SceneGraph | None, marks: Sequence[Verdict], caption: str, scale: int = SCALE
) -> Image.Image:
    factor = min(PANEL_WH[0] / image.width, PANEL_WH[1] / image.height)
    view_wh = image.width * factor, image.height * factor
    width, height = (round(side * scale) for side in view_wh)
    panel = Image.new("RGB", (width, height + CAPTION_HEIGHT * scale), "white")
    font = ImageFont.load_default(FONT_SIZE * scale)
    ImageDraw.Draw(panel).text((2 * scale, 2 * scale), caption, fill="black", font=font)
    photo = image.convert("RGB").resize((width, height))
    if graph is not None:
        _draw_boxes(ImageDraw.Draw(photo), lay_out_boxes(graph, marks, view_wh), font, scale)
    panel.paste(photo, (0, CAPTION_HEIGHT * scale))
    return panel


def _draw_boxes(pen: ImageDraw.ImageDraw, boxes: Sequence[BoxView], font: Any, scale: int) -> None:
    """All boxes first, then all labels, so that none is crossed out."""
    for box in boxes:
        corners = (box.x, box.y, box.x + box.width, box.y + box.height)
        pen.rectangle([scale * corner for corner in corners], outline=COLOURS[box.mark], width=2 * scale)
    for box in boxes:
        label = box.label
        corners = (label.x, label.y, label.x + label.width, label.y + LABEL_HEIGHT)
        pen.rectangle([scale * corner for corner in corners], fill=COLOURS[box.mark])
        pen.text((scale * (label.x + 3), scale * label.y), label.text, fill="white", font=font)
