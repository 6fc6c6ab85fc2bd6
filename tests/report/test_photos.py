"""Photos are found by image id, are small on a page, and are never those of other images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from r1sgg_cli.data.predictions import ImagePrediction, Predictions
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.errors import DataError
from r1sgg_cli.report.photos import MAX_BYTES, open_photos, thumbnail
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from tests.report.conftest import make_graph


@pytest.fixture
def predictions(synthetic_dataset: Path) -> Predictions:
    """Answers to two images of the synthetic set, in another order than there."""
    rows = load_rows(str(synthetic_dataset), "test")
    images = [
        ImagePrediction(rows[i]["image_id"], rows[i]["image"].size, make_graph([], [], []), None, "missing", {}, "")
        for i in (3, 1)
    ]
    return Predictions({"dataset": str(synthetic_dataset), "split": "test"}, Vocabulary((), ()), tuple(images))


def test_photos_come_from_the_data_set_that_the_predictions_name(
    predictions: Predictions, synthetic_dataset: Path
) -> None:
    photo_of = open_photos(predictions)
    rows = load_rows(str(synthetic_dataset), "test")
    for image, row in zip(predictions.images, (3, 1), strict=True):
        assert photo_of(image).tobytes() == rows[row]["image"].tobytes()


def test_a_data_set_that_is_elsewhere_can_be_named(predictions: Predictions, synthetic_dataset: Path) -> None:
    moved = replace(predictions, provenance={"dataset": "/gone", "split": "test"})
    way_out = r"go without with `--no-photos`, or name their data set with `--dataset`"
    with pytest.raises(DataError, match=rf"^no photos: no folder `/gone`; {way_out}$"):
        open_photos(moved)
    assert open_photos(moved, str(synthetic_dataset))(moved.images[0]).size == moved.images[0].image_wh


def test_a_split_that_is_not_there_has_its_own_way_out(predictions: Predictions, synthetic_dataset: Path) -> None:
    with pytest.raises(
        DataError, match=r"^no photos \(`--no-photos` goes without\): .* has no split `x`; it has `train`"
    ):
        open_photos(predictions, str(synthetic_dataset), "x")


def test_an_image_that_the_data_set_lacks_is_named(predictions: Predictions) -> None:
    other = replace(predictions.images[0], image_id="other")
    with pytest.raises(DataError, match=r"has no image `other` \(1 are missing\); go without with `--no-photos`"):
        open_photos(replace(predictions, images=(*predictions.images, other)))


def test_a_photo_of_another_size_is_refused(predictions: Predictions) -> None:
    image = replace(predictions.images[0], image_wh=(30, 20))
    with pytest.raises(
        DataError, match=r"has \d+×\d+ pixels, the one that was answered 30×20; go without with `--no-photos`"
    ):
        open_photos(predictions)(image)


def test_predictions_that_name_no_data_set_say_so(predictions: Predictions) -> None:
    with pytest.raises(DataError, match="do not say where their photos are"):
        open_photos(replace(predictions, provenance={}))


@pytest.mark.parametrize("size_wh", [(1024, 768), (600, 1024), (50, 40)])
def test_a_photo_is_small_whatever_it_shows(size_wh: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size_wh[::-1], 4), dtype=np.uint8)
    small = thumbnail(Image.fromarray(noise, "RGBA"))
    assert len(small) <= MAX_BYTES
    assert small.startswith(b"\xff\xd8")
