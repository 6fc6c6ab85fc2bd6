"""What one training step really allocates: random weights of a shape, and one optimizer step as our trainers make it.

The parts that decide memory are the trainers' own: transformers' classes and gradient checkpointing, TRL's fused head
with the outputs that `SFTTrainer` and `GRPOTrainer` ask of it, accelerate's kind of autocast, fused AdamW, gradients
that are accumulated. Data, rewards and sampling are left out.

On a GPU the allocator counts. On a CPU the profiler follows every allocation, those inside kernels included.
"""

import gc
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig, AutoModelForImageTextToText
from trl.trainer.utils import add_fused_lm_head

from r1sgg_cli.launch.architectures import parse_shape
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.launch.workload import Device, TrainingStep
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.training.float8 import compute_in_float8
from r1sgg_cli.training.frozen import run_frozen_vision_forward_alone
from r1sgg_cli.training.head import IGNORED, AnswersAlone
from r1sgg_cli.training.quantized import fill_in_four_bits, scales_nbytes
from r1sgg_cli.training.shared_prompts import mask_of

_HEAD_OUTPUTS = {"sft": ("log_probs", "entropy", "is_top1"), "grpo": ("log_probs", "entropy")}


@dataclass(frozen=True, slots=True)
class MeasuredMemory:
    """Bytes that were allocated at once, at most, and what of them stays from step to step."""

    weights: int
    gradients: int
    optimizer: int
    total: int

    @property
    def transient(self) -> int:
        """What comes and goes within a step: activations, the head's tiles, images."""
        return self.total - self.weights - self.gradients - self.optimizer


def measure_step(config: Mapping[str, Any], step: TrainingStep, device: Device) -> MeasuredMemory:
    """The peak of an optimizer step with random weights of a config.json's shape.

    The step is the second of its run and has two micro-batches: the last one meets all that can be there, the
    optimizer's state and the gradients of the one before. On `cuda` what else the process holds would be counted.
    """
    shape = parse_shape(config, "the measured shape")
    model, optimizer = _model_and_optimizer(config, step, device)
    answers = AnswersAlone(model) if step.stage == "sft" and device == "cpu" else None
    kept: dict[str, int] = {}

    def run() -> None:
        for num_micro_batches in (1, 2):
            for _ in range(num_micro_batches):
                _micro_step(model, answers, step, shape, device)
            kept.update(_weights_and_gradients(model))
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        kept.update(optimizer=_optimizer_bytes(optimizer))

    total = _cuda_peak(run) if device == "cuda" else cpu_peak(run) + kept["weights"]
    return MeasuredMemory(total=total, **kept)


def _model_and_optimizer(
    config: Mapping[str, Any], step: TrainingStep, device: str
) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    values = json.loads(json.dumps(dict(config)))  # transformers changes what it is given
    family = FAMILIES[values.pop("model_type")]
    dtype = torch.bfloat16 if step.frozen_in_bf16 else torch.float32
    with torch.device("meta" if step.in_four_bits else device):
        model = AutoModelForImageTextToText.from_config(AutoConfig.for_model(family.model_type, **values), dtype=dtype)
    if step.in_four_bits:
        fill_in_four_bits(model, dtype, device)
    add_fused_lm_head(model, outputs=_HEAD_OUTPUTS[step.stage])
    if step.freeze_vision:
        model.model.get_submodule(family.vision_module).requires_grad_(False)
    if step.lora_rank is not None:
        layers = r".*\.language_model\..*_proj"  # the language model's linear layers
        model = get_peft_model(model, LoraConfig(r=step.lora_rank, target_modules=layers, lora_dropout=0.05))
    if step.precision == "fp8":
        compute_in_float8(model)
    run_frozen_vision_forward_alone(model)
    if step.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return model, torch.optim.AdamW(trained, lr=1e-5, fused=True)


def _micro_step(
    model: torch.nn.Module, answers: AnswersAlone | None, step: TrainingStep, shape: ModelShape, device: str
) -> None:
    inputs = _inputs(model.config, step, shape, device)
    if answers is not None:
        inputs = answers.scored(inputs)
    with torch.autocast(device, torch.bfloat16) if step.precision != "float32" else nullcontext():
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)
    log_probs = outputs.log_probs
    if step.stage == "sft":
        loss = -log_probs.sum() / outputs.label_mask.sum()
    else:
        ratio = torch.exp(log_probs - log_probs.detach())
        loss = -torch.min(ratio, ratio.clamp(0.8, 1.2)).sum() / outputs.label_mask.sum()
    loss.backward()


def _inputs(config: Any, step: TrainingStep, shape: ModelShape, device: str) -> dict[str, torch.Tensor]:
    """A batch of random tokens and images; rows are padded as in a batch of several lengths."""
    image_id = config.image_token_id
    ids = torch.randint(0, shape.vocab_size - 1, (step.num_rows, step.row_tokens), device=device)
    ids += (ids >= image_id).to(ids.dtype)  # every token but the image's
    ids[:, 1 : 1 + step.image_tokens] = image_id
    labels = ids.clone()
    labels[:, : step.prompt_tokens] = IGNORED
    images = _images(ids == image_id, step, shape)
    if step.num_shared_rows is not None:
        return {"input_ids": ids, "shift_labels": labels, **_sharing(step, ids), **images}
    mask = torch.ones_like(ids)
    if step.is_masked:
        mask[0, 0] = 0
    return {"input_ids": ids, "attention_mask": mask, "labels": labels, **images}


def _sharing(step: TrainingStep, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mask and positions of rows in which answers share their prompt."""
    numbers = torch.arange(1, step.answers_per_row + 1, device=ids.device).repeat_interleave(step.completion_tokens)
    segments = torch.cat([numbers.new_zeros(step.prompt_tokens), numbers]).expand_as(ids)
    positions = torch.arange(step.row_tokens, device=ids.device).expand(3, *ids.shape)
    if not step.is_masked:
        return {"position_ids": positions}
    dtype = torch.bfloat16 if step.precision == "bf16" else torch.float32
    return {"position_ids": positions, "attention_mask": mask_of(segments, dtype)}


def _images(is_image: torch.Tensor, step: TrainingStep, shape: ModelShape) -> dict[str, torch.Tensor]:
    if not step.image_tokens:
        return {}
    vision, device = shape.vision, is_image.device
    if vision.tiling == "tiles":
        per_tile = (vision.image_size // vision.patch_size // vision.merge_size) ** 2
        num_tiles = step.num_rows * step.image_tokens // per_tile
        return {"pixel_values": torch.randn(num_tiles, 3, vision.image_size, vision.image_size, device=device)}
    # The sides of a grid that is as square as the number of tokens allows.
    rows = next(side for side in range(int(step.image_tokens**0.5), 0, -1) if step.image_tokens % side == 0)
    grid = [1, rows * vision.merge_size, step.image_tokens // rows * vision.merge_size]
    patches = step.num_rows * vision.num_patches(step.image_tokens)
    return {
        "pixel_values": torch.randn(patches, vision.pixels_per_patch, device=device),
        "image_grid_thw": torch.tensor([grid] * step.num_rows, device=device),
        "mm_token_type_ids": is_image.to(torch.int32),
    }


def _weights_and_gradients(model: torch.nn.Module) -> dict[str, int]:
    parameters = list(model.parameters())
    return {
        "weights": sum(parameter.nbytes + scales_nbytes(parameter) for parameter in parameters),
        "gradients": sum(parameter.grad.nbytes for parameter in parameters if parameter.grad is not None),
    }


def _optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    tensors = (value for state in optimizer.state.values() for value in state.values())
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))


def _cuda_peak(run: Callable[[], None]) -> int:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    run()
    return int(torch.cuda.max_memory_allocated())


def cpu_peak(run: Callable[[], None]) -> int:
    """The most bytes that tensors and kernels of the CPU hold at once while `run` runs, beyond those of before."""
    gc.collect()  # what dies under the profiler would count as less than nothing
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    events = record.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    held = peak = 0
    for _, num_bytes in changes:
        held += num_bytes
        peak = max(peak, held)
    return peak
