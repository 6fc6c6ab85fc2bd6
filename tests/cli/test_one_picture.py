"""The picture that `infer MODEL PICTURE` writes; that it shows the graph is held where a trained model is at hand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from r1sgg_cli.cli.one_picture import MARK, save_drawing
from r1sgg_cli.errors import OutputError
from r1sgg_cli.files import insist_on_own
from tests.conftest import files_no_larger_than

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))


def test_what_was_written_is_known_as_our_own(tmp_path: Path) -> None:
    save_drawing(NOISE, tmp_path / "a.graph.png")
    insist_on_own(tmp_path / "a.graph.png", MARK)


def test_a_full_disk_and_a_folder_that_is_gone_are_one_line(tmp_path: Path) -> None:
    with (
        files_no_larger_than(500),
        pytest.raises(OutputError, match=r"cannot write `.*a.graph.png`: File too large; run"),
    ):
        save_drawing(NOISE, tmp_path / "a.graph.png")
    with pytest.raises(OutputError, match="No such file or directory; run it in a folder"):
        save_drawing(NOISE, tmp_path / "gone" / "a.graph.png")
