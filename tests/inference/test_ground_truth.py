"""The ground truth that lies beside the answers."""

from pathlib import Path

import numpy as np
import pytest

from r1sgg_cli.errors import AnswersError
from r1sgg_cli.inference.ground_truth import GROUND_TRUTH_FILE, load_ground_truth, save_ground_truth

from .conftest import make_truth


def test_ground_truth_comes_back_as_it_was(tmp_path: Path) -> None:
    truths = [make_truth("b"), make_truth("a")]
    save_ground_truth(truths, tmp_path)
    loaded = load_ground_truth(tmp_path)
    assert [truth.image_id for truth in loaded] == ["b", "a"]
    assert loaded[0].image_wh == (200, 100)
    np.testing.assert_array_equal(loaded[0].graph.boxes_xyxy, truths[0].graph.boxes_xyxy)
    assert loaded[0].graph.triplets == truths[0].graph.triplets


@pytest.mark.parametrize(
    ("change", "match"),
    [
        pytest.param(lambda lines: [lines[0], "{"], r"line 2 of .*ground_truth\.jsonl", id="no JSON"),
        pytest.param(lambda lines: [lines[0], lines[0]], "line 2 .* repeats image `a`", id="an image twice"),
        pytest.param(lambda lines: [lines[0].replace("man.1", "boy.1", 1)], "line 1", id="an end without its object"),
        pytest.param(lambda lines: [lines[0].replace("20.0", "NaN")], "line 1.*not finite", id="a box with NaN"),
        pytest.param(
            lambda lines: [lines[0].replace("0.0, 0.0, 20", "0.0, 20")], "line 1", id="a box of three numbers"
        ),
    ],
)
def test_broken_ground_truth_is_refused_with_its_line(tmp_path: Path, change: object, match: str) -> None:
    assert callable(change)
    save_ground_truth([make_truth("a"), make_truth("b")], tmp_path)
    path = tmp_path / GROUND_TRUTH_FILE
    path.write_text("\n".join(change(path.read_text().splitlines())))
    with pytest.raises(AnswersError, match=match):
        load_ground_truth(tmp_path)
