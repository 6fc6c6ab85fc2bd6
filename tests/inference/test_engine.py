"""The engine: greedy, batch by batch, never an image token, and the same answer whatever stands beside it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from r1sgg_cli.data.prompts import build_messages
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.errors import ModelError
from r1sgg_cli.inference.engine import TransformersEngine
from r1sgg_cli.models.families import ModelType


@pytest.mark.parametrize("model_type", get_args(ModelType))
def test_an_answer_does_not_depend_on_its_batch(
    model_type: ModelType, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path
) -> None:
    engine = TransformersEngine(str(tiny_checkpoint(model_type)), max_new_tokens=8)
    rows = load_rows(str(synthetic_dataset), "test").select(range(3))
    images = [row["image"].resize((60 + 20 * i, 80)) for i, row in enumerate(rows)]
    asked = [build_messages("Describe.", "Write. " * (1 + 3 * i)) for i in range(3)]
    together = engine.complete(asked, images)
    alone = [engine.complete([messages], [image])[0] for messages, image in zip(asked, images, strict=True)]
    assert together == alone
    assert all(completion.num_tokens <= 8 for completion in together)


def test_an_answer_that_is_cut_off_says_so(tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path) -> None:
    engine = TransformersEngine(str(tiny_checkpoint("qwen2_vl")), max_new_tokens=1)
    image = load_rows(str(synthetic_dataset), "test")[0]["image"]
    completion = engine.complete([build_messages("Describe.", "Write.")], [image])[0]
    assert (completion.finish_reason, completion.num_tokens) == ("length", 1)


def test_greedy_is_greedy_whatever_the_checkpoints_own_generation_config_says(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    penalised = tmp_path / "penalised"
    shutil.copytree(tiny_checkpoint("qwen2_vl"), penalised)
    path = penalised / "generation_config.json"
    changed = json.loads(path.read_text(encoding="utf-8")) | {"repetition_penalty": 1.5, "do_sample": True}
    path.write_text(json.dumps(changed), encoding="utf-8")
    image = load_rows(str(synthetic_dataset), "test")[0]["image"]
    asked = [build_messages("Describe.", "Write.")]
    plain, other = (
        TransformersEngine(str(folder), max_new_tokens=16).complete(asked, [image])
        for folder in (tiny_checkpoint("qwen2_vl"), penalised)
    )
    assert other == plain


def test_a_checkpoint_without_weights_is_one_line(tiny_checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny_checkpoint("qwen2_vl") / "config.json").read_bytes())
    with pytest.raises(ModelError, match="is not a whole checkpoint"):
        TransformersEngine(str(tmp_path), max_new_tokens=1)
