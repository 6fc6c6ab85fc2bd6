"""`training.json` in a folder of answers."""

from pathlib import Path

import pytest

from r1sgg_cli.errors import AnswersError
from r1sgg_cli.inference.training_file import load_training_names, save_training_names
from r1sgg_cli.scene_graph.training_names import TrainingNames

NAMES = TrainingNames({"on": 3}, frozenset({("man", "on", "horse")}))


def test_names_come_back_and_go_where_nothing_is_known(tmp_path: Path) -> None:
    assert load_training_names(tmp_path) is None
    save_training_names(NAMES, tmp_path)
    assert load_training_names(tmp_path) == NAMES
    save_training_names(None, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["{", "[]", '{"unseen_triplets": []}'])
def test_a_broken_file_is_named_with_the_way_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "training.json").write_text(content)
    with pytest.raises(AnswersError, match=r"training\.json` is not what `r1sgg infer` writes.*; delete it"):
        load_training_names(tmp_path)
