"""A rollout as one picture: the best answer over the photo, in the colours of its verdicts, beside the truth."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageColor

from r1sgg_cli.data.rollouts import Rollout
from r1sgg_cli.report.overlay import PANEL_WH
from r1sgg_cli.report.picture import CAPTION_HEIGHT, COLOURS, GAP, SCALE, draw_rollout
from tests.report.conftest import draw
from tests.report.run_folder import GRAPH, answers

SIDE = round(PANEL_WH[0] * SCALE)


def picture(indices: tuple[int, ...]) -> Image.Image:
    given = answers("text", Random(1))
    rollout = Rollout(
        1, "im", "rollouts/0a.jpg", (100, 100), "sgg", GRAPH, tuple(given[i] for i in indices), (100, 100)
    )
    return draw_rollout(rollout, draw(GRAPH))


def num_pixels(image: Image.Image, colour: str) -> int:
    return int((np.asarray(image) == ImageColor.getrgb(colour)).all(axis=-1).sum())


@pytest.mark.parametrize(
    ("indices", "colours"),
    [((0, 1, 3), {"matched"}), ((0,), {"wrong"}), ((3,), set())],
    ids=["the best of three", "a wrong one", "no graph"],
)
def test_boxes_of_the_best_answer_have_the_colour_of_their_verdict(indices: tuple[int, ...], colours: set[str]) -> None:
    image = picture(indices)
    left = image.crop((0, 0, SIDE, image.height))
    assert {mark for mark, colour in COLOURS.items() if num_pixels(left, colour) > 100} == colours


def test_the_truth_is_beside_it() -> None:
    image = picture((1,))
    assert image.size == (2 * SIDE + GAP, SIDE + CAPTION_HEIGHT * SCALE)
    right = image.crop((SIDE + GAP, 0, image.width, image.height))
    assert num_pixels(right, COLOURS["truth"]) > 1000
    assert num_pixels(right, COLOURS["matched"]) == 0


def test_a_wide_photo_keeps_its_shape(tmp_path: Path) -> None:
    rollout = Rollout(1, "im", "rollouts/0a.jpg", (100, 100), "sgg", GRAPH, tuple(answers("t", Random(1))), (100, 100))
    image = draw_rollout(rollout, Image.new("L", (400, 100)))
    assert image.height == SIDE // 4 + CAPTION_HEIGHT * SCALE
