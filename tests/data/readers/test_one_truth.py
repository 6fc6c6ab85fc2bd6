"""The same graphs, written in the eight layouts and read back through the readers, give the same rows."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.rows import load_splits
from r1sgg_cli.data.sources import open_source
from tests.data.readers.layouts import WRITERS, Sample, random_samples, write_images

H5_PIXELS = 2.0
"""The h5 layout rounds twice at a longer side of 1024."""


def expected_rows(samples: Sequence[Sample]) -> dict[str, Any]:
    rows = {}
    for sample in samples:
        ids = [f"{name}.{number}" for number, (name, _) in enumerate(sample.objects, start=1)]
        objects = [{"id": i, "bbox": [float(v) for v in box]} for i, (_, box) in zip(ids, sample.objects, strict=True)]
        triplets = [{"subject": ids[s], "predicate": p, "object": ids[o]} for s, p, o in sample.relationships]
        rows[str(sample.image_id)] = (objects, triplets)
    return rows


def prepared_rows(layout: str, folder: Path, samples: Sequence[Sample], **options: Any) -> dict[str, dict[str, Any]]:
    """Split → image id → objects and relationships, through the files of a layout and the whole of `prepare`."""
    files, out = folder / "files", folder / "out"
    files.mkdir()
    write_images(folder / "images", samples)
    source = open_source(str(WRITERS[layout](files, samples)), None, ReadOptions(folder / "images", **options))
    done = prepare_dataset(source, out)
    assert done is not None
    assert done.tally.num_faults() == 0, done.tally
    return {
        split: {row["image_id"]: (json.loads(row["objects"]), json.loads(row["relationships"])) for row in rows}
        for split, rows in load_splits(str(out)).items()
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("layout", sorted(set(WRITERS) - {"vg150-h5"}))
def test_every_layout_gives_the_same_rows(layout: str, seed: int, tmp_path: Path) -> None:
    samples = random_samples(seed)
    rows = prepared_rows(layout, tmp_path, samples)
    assert {image_id: graph for split in rows.values() for image_id, graph in split.items()} == expected_rows(samples)
    if layout != "visual-genome":  # the one layout without splits
        assert list(rows["test"]) == [str(sample.image_id) for sample in samples if sample.split == "test"]


@pytest.mark.parametrize("seed", range(3))
def test_vg150_gives_the_same_rows_within_two_pixels(seed: int, tmp_path: Path) -> None:
    samples = random_samples(seed)
    rows = prepared_rows("vg150-h5", tmp_path, samples)
    assert set(rows["test"]) == {str(sample.image_id) for sample in samples if sample.split == "test"}
    for image_id, (objects, relationships) in expected_rows(samples).items():
        read_objects, read_relationships = {**rows["train"], **rows["test"]}[image_id]
        assert read_relationships == relationships
        assert [row["id"] for row in read_objects] == [row["id"] for row in objects]
        boxes, read = (np.array([row["bbox"] for row in side]) for side in (objects, read_objects))
        assert np.abs(boxes - read).max() <= H5_PIXELS


@pytest.mark.parametrize("layout", sorted(WRITERS))
def test_the_layout_is_detected_from_its_files(layout: str, tmp_path: Path) -> None:
    named = {"sgg-benchmark": "coco-rel", "reltr": "coco-rel"}.get(layout, layout)
    path = WRITERS[layout](tmp_path, random_samples(0))
    assert open_source(str(path), None, ReadOptions()).layout == named
    assert open_source(named, path, ReadOptions()).layout == named
