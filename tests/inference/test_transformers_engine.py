"""transformers as the engine: batch by batch, never an image token, and the same answer whatever stands beside it."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from rich.console import Console

from r1sgg_cli.data.prompts import build_messages
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.errors import ConfigError, ModelError
from r1sgg_cli.inference.engine import Question, Reply
from r1sgg_cli.inference.transformers_engine import TransformersEngine
from r1sgg_cli.models.families import ModelType
from r1sgg_cli.models.sampling import Sampling


@pytest.fixture
def questions(synthetic_dataset: Path) -> list[Question]:
    """Three of different lengths and sizes."""
    rows = load_rows(str(synthetic_dataset), "test").select(range(3))
    images = [row["image"].resize((60 + 20 * i, 80)) for i, row in enumerate(rows)]
    return [
        Question(str(i), build_messages("Describe.", "Write. " * (1 + 3 * i)), image, image.size)
        for i, image in enumerate(images)
    ]


def loaded(folder: Path, sampling: Sampling, batch_size: int = 3, room: int = 4096) -> TransformersEngine:
    return TransformersEngine(str(folder), sampling, batch_size, room, Console(stderr=True, soft_wrap=True))


def texts(replies: list[Reply]) -> list[list[tuple[str, tuple[int, ...]]]]:
    return [[(one.text, one.token_ids) for one in reply.completions] for reply in replies]


@pytest.mark.parametrize("sampling", [Sampling(8), Sampling(8, temperature=1.0, top_p=0.9, num_answers=2)], ids=str)
@pytest.mark.parametrize("model_type", get_args(ModelType))
def test_an_answer_does_not_depend_on_its_batch(
    model_type: ModelType, sampling: Sampling, tiny_checkpoint: Callable[[str], Path], questions: list[Question]
) -> None:
    engine = loaded(tiny_checkpoint(model_type), sampling)
    together = list(engine.replies(questions))
    engine.batch_size = 1
    alone = list(engine.replies(questions))
    assert texts(together) == texts(alone)
    assert [reply.question.image_id for reply in together] == ["0", "1", "2"]
    assert [reply.num_prompt_tokens for reply in together] == [reply.num_prompt_tokens for reply in alone]
    assert all(len(reply.completions) == sampling.num_answers for reply in together)
    assert all(completion.num_tokens <= 8 for reply in together for completion in reply.completions)


def test_a_seed_decides_over_what_is_sampled(tiny_checkpoint: Callable[[str], Path], questions: list[Question]) -> None:
    sampling = Sampling(8, temperature=1.0, num_answers=2)
    engine = loaded(tiny_checkpoint("qwen2_vl"), sampling)
    first = texts(list(engine.replies(questions)))
    assert texts(list(engine.replies(questions))) == first
    assert all(one != other for one, other in first)
    engine.sampling = replace(sampling, seed=1)
    assert texts(list(engine.replies(questions))) != first


def test_the_probability_of_a_token_is_the_models_own(
    tiny_checkpoint: Callable[[str], Path], questions: list[Question]
) -> None:
    """As one forward pass over prompt and answer gives it, whatever temperature the answer was sampled at."""
    engine = loaded(tiny_checkpoint("qwen2_vl"), Sampling(6, temperature=3.0, top_k=50))
    question = questions[0]
    (reply,) = engine.replies([question])
    (completion,) = reply.completions
    prompts: Any = engine.writer.prompts([question.messages], [question.image])
    answer = torch.tensor([completion.token_ids])
    prompts["input_ids"] = torch.cat([prompts["input_ids"], answer], dim=1)
    prompts["attention_mask"] = torch.ones_like(prompts["input_ids"])
    if "mm_token_type_ids" in prompts:
        kinds = prompts["mm_token_type_ids"]
        prompts["mm_token_type_ids"] = torch.cat([kinds, kinds.new_zeros(answer.shape)], dim=1)
    with torch.inference_mode():
        logits = engine.model(**prompts).logits[0, -len(completion.token_ids) - 1 : -1].float()
    expected = logits.log_softmax(-1).gather(1, answer[0][:, None])[:, 0].tolist()
    assert completion.token_logprobs is not None
    assert completion.token_logprobs[: len(expected)] == pytest.approx(expected, abs=1e-4)
    assert all(math.isfinite(logprob) for logprob in completion.token_logprobs)


def test_an_answer_that_is_cut_off_says_so(tiny_checkpoint: Callable[[str], Path], questions: list[Question]) -> None:
    (reply,) = loaded(tiny_checkpoint("qwen2_vl"), Sampling(1)).replies(questions[:1])
    assert (reply.completions[0].finish_reason, reply.completions[0].num_tokens) == ("length", 1)


def test_greedy_is_greedy_whatever_the_checkpoints_own_generation_config_says(
    tiny_checkpoint: Callable[[str], Path], questions: list[Question], tmp_path: Path
) -> None:
    penalised = tmp_path / "penalised"
    shutil.copytree(tiny_checkpoint("qwen2_vl"), penalised)
    path = penalised / "generation_config.json"
    changed = json.loads(path.read_text(encoding="utf-8")) | {"repetition_penalty": 1.5, "do_sample": True}
    path.write_text(json.dumps(changed), encoding="utf-8")
    plain, other = (
        list(loaded(folder, Sampling(16)).replies(questions)) for folder in (tiny_checkpoint("qwen2_vl"), penalised)
    )
    assert texts(other) == texts(plain)


def test_a_checkpoint_without_weights_is_one_line(tiny_checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny_checkpoint("qwen2_vl") / "config.json").read_bytes())
    with pytest.raises(ModelError, match="is not a whole checkpoint"):
        loaded(tmp_path, Sampling(1))


def test_a_prompt_that_is_too_long_names_the_limit_and_the_rest_goes_on(
    tiny_checkpoint: Callable[[str], Path], questions: list[Question]
) -> None:
    engine = loaded(tiny_checkpoint("qwen2_vl"), Sampling(8, temperature=1.0, num_answers=2))
    whole = list(engine.replies(questions))
    engine.room = whole[2].num_prompt_tokens
    replies = list(engine.replies(questions))
    assert texts(replies[:2]) == texts(whole[:2])
    assert (replies[2].completions, replies[2].num_prompt_tokens) == ((), engine.room)
    assert f"there is room for {engine.room} with the answer" in str(replies[2].error)


def test_an_answer_ends_where_there_is_no_more_room(
    tiny_checkpoint: Callable[[str], Path], questions: list[Question]
) -> None:
    engine = loaded(tiny_checkpoint("qwen2_vl"), Sampling(8))
    (whole,) = engine.replies(questions[:1])
    engine.room = whole.num_prompt_tokens + 3
    (reply,) = engine.replies(questions[:1])
    assert reply.completions[0].token_ids == whole.completions[0].token_ids[:3]
    assert reply.completions[0].finish_reason == "length"


def fail_above(engine: TransformersEngine, most_rows: int) -> None:
    """Let the model ask for more memory than there is wherever a batch has more rows."""

    def ask_for_much(model: Any, args: Any, kwargs: Any) -> None:
        if len(kwargs["input_ids"]) > most_rows:
            torch.empty(1 << 60, dtype=torch.int8)

    engine.model.register_forward_pre_hook(ask_for_much, with_kwargs=True)


def test_a_batch_that_does_not_fit_is_halved_once_and_said(
    tiny_checkpoint: Callable[[str], Path], questions: list[Question], capsys: pytest.CaptureFixture[str]
) -> None:
    engine = loaded(tiny_checkpoint("qwen2_vl"), Sampling(4))
    whole = list(engine.replies(questions))
    fail_above(engine, 1)
    replies = list(engine.replies(iter(questions)))
    assert texts(replies) == texts(whole)
    assert "out of memory with 3 images at once; from here on it is 1" in capsys.readouterr().err


@pytest.mark.parametrize(("batch_size", "still"), [(1, 1), (3, 1)], ids=["nothing to halve", "halved already"])
def test_memory_that_does_not_suffice_for_less_is_one_line(
    batch_size: int, still: int, tiny_checkpoint: Callable[[str], Path], questions: list[Question]
) -> None:
    engine = loaded(tiny_checkpoint("qwen2_vl"), Sampling(4), batch_size)
    fail_above(engine, 0)
    with pytest.raises(ConfigError, match=f"out of memory with {still} image at once; .* smaller `--batch-size`"):
        list(engine.replies(questions))
