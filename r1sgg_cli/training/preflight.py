"""Whether vLLM and the trainer see the same: compared once at each start, before any weight moves, and watched later.

A run whose engines differ trains on answers to other prompts, or of another model, and nothing raises. So three things
of the first batch are compared: the prompts' tokens (`rollouts.check_same_prompt`, in every step), what an image is cut
into, and the log-probabilities of the sampled tokens. A step's own measurements cannot stand in for the last: where the
importance ratio is not corrected, none is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from accelerate.utils import gather_object
from PIL import Image
from rich.console import Console
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl.trainer.utils import split_pixel_values_by_grid, unsplit_pixel_values_by_grid

from r1sgg_cli.config.schema import GRPORun
from r1sgg_cli.errors import ModelError
from r1sgg_cli.models.checkpoint import load_processor
from r1sgg_cli.models.engine_options import pixel_options
from r1sgg_cli.models.images import ImageLimits
from r1sgg_cli.training.engine_start import OTHER_WAY
from r1sgg_cli.training.standing_in import not_training

MAX_DISAGREEMENT = 0.1
"""Nats between the two engines' log-probabilities of an answer's token, on average, without sign.

Twice what rounding can do: no mean is above its standard deviation, which is 0.05 in bf16 for a model of 0.5 B
(trl#6789); in float32 it is 0.000001. Old image features of a tiny model give 0.19, doubled image tokens 0.59."""

_WATCHED = "sampling/sampling_logp_difference/mean"
_OF_IMAGES = ("pixel_values", "image_grid_thw", "mm_token_type_ids", "token_type_ids", "num_images")


@dataclass(slots=True)
class Preflight:
    """What is compared with, and where the outcome is said."""

    run: GRPORun
    limits: ImageLimits
    """The pixel limits that vLLM was given."""
    console: Console
    has_seen_images: bool = False
    """Those of the first step, or before it of an evaluation."""
    is_over: bool = False


class EnginesCompared:
    """Mixed into TRL's trainer, before `SamplesRight`: the first answers of each start pass the preflight."""

    model: Any
    use_vllm: bool
    vllm_generation: Any
    processing_class: Any
    accelerator: Any
    num_generations: int
    preflight: Preflight

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: Any, num_generations: int, **others: Any
    ) -> Any:
        answers = super()._generate_single_turn(  # type: ignore[misc]
            prompt_ids, images, multimodal_fields, num_generations, **others
        )
        if self.use_vllm and not self.preflight.has_seen_images:
            self.preflight.has_seen_images = True
            shown = [image for (image,) in images[::num_generations]]
            insist_on_equal_images(self, shown, multimodal_fields["image_grid_thw"][::num_generations])
        return answers

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        if not self.use_vllm or self.preflight.is_over:
            return super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        self.preflight.has_seen_images = False  # an evaluation's are not a step's
        batch = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        self.preflight.is_over = True
        insist_on_agreement(self, batch)
        return batch


def insist_on_equal_images(trainer: Any, images: Sequence[Image.Image], trained: torch.Tensor) -> None:
    """Compare what the engines make of `images`, of which each process has a part; every process must call it.

    Raises `ModelError`, in all processes alike, where they differ.
    """
    problems = gather_object([image_problem(trainer, images, trained)])
    if problem := next(filter(None, problems), None):
        raise ModelError(problem)


def image_problem(trainer: Any, images: Sequence[Image.Image], trained: torch.Tensor) -> str | None:
    """Where vLLM makes something else of one of the `images` than the trainer, whose grids are `trained`; or None.

    A colocated vLLM has the checkpoint's own processor, called with the limits that it was given.
    """
    if trainer.vllm_generation.mode == "colocate":
        processor = _image_processor(trainer.preflight.run.model)
        options = pixel_options(trainer.preflight.limits)
        read = processor(images=list(images), return_tensors="pt", **options)["image_grid_thw"]
        return different_images(images, read.tolist(), trained.tolist(), "patches")
    if not trainer.accelerator.is_main_process:  # it alone asks the server
        return None
    features = trainer.vllm_generation.vllm_client.image_features([[image] for image in images])
    served = [[feature["mm_placeholders"]["image"][0]["length"]] for feature in features]
    tokens = trained.prod(dim=1) // trainer.processing_class.image_processor.merge_size**2
    return different_images(images, served, tokens[:, None].tolist(), "image tokens")


@lru_cache(maxsize=1)
def _image_processor(model: str) -> Any:
    return load_processor(model).image_processor


def different_images(
    images: Sequence[Image.Image], sampled: Sequence[list[int]], trained: Sequence[list[int]], unit: str
) -> str | None:
    """A sentence on the first image that vLLM (`sampled`) does not cut as the trainer does; None if it cuts them all.

    Each image is given by its numbers of patches (frames, rows, columns) or of tokens, whose name is `unit`.
    """
    for image, read, ids in zip(images, sampled, trained, strict=True):
        if read != ids:
            return (
                f"vLLM cuts an image of {image.width}×{image.height} pixels into {_times(read)} {unit}, the trainer "
                f"into {_times(ids)}: they have different limits for images, so that training would be on other "
                f"prompts; let both read the same checkpoint, or use {OTHER_WAY}"
            )
    return None


def _times(sides: Sequence[int]) -> str:
    return "×".join(map(str, sides))


def insist_on_agreement(trainer: Any, batch: dict[str, Any]) -> None:
    """Compare the engines on a batch, of which each process has a part; every process must call it.

    Says on the terminal that they agree, and where nothing can be said about log-probabilities, why. Raises
    `ModelError`, in all processes alike, where they differ.
    """
    preflight = trainer.preflight
    num_prompts = trainer.accelerator.num_processes * len(batch["prompt_ids"]) // trainer.num_generations
    compared = f"engines agree: {num_prompts} prompts, {_images_said(trainer)} equal"
    distortion = preflight.run.distortion  # vLLM's are renormalised to the tokens that sampling leaves
    difference = None if distortion else mean_difference(trainer, batch)
    if difference is None:
        why = f"under `{distortion}`" if distortion else "as no answer is whole"
        preflight.console.print(f"{compared}; log-probabilities are not compared {why}", highlight=False)
        return
    if not difference <= MAX_DISAGREEMENT:  # NaN as well
        raise ModelError(
            f"vLLM and the trainer differ by {difference:.3f} in the log-probability of a token (rounding is "
            f"below {MAX_DISAGREEMENT}): they see different prompts or weights; use {OTHER_WAY}"
        )
    said = f"log-probabilities differ by {difference:.1g} on average (bound {MAX_DISAGREEMENT})"
    preflight.console.print(f"{compared}, {said}", highlight=False)


def _images_said(trainer: Any) -> str:
    return "grids" if trainer.vllm_generation.mode == "colocate" else "image tokens"


def mean_difference(trainer: Any, batch: dict[str, Any]) -> float | None:
    """Mean distance of the engines' log-probabilities of a token, over some answers of each process.

    They are as many as one micro-batch, for which there is memory. None where all of them were cut off under
    `mask_truncated_completions`, NaN where vLLM gives NaN.
    """
    part = answers_at(batch, from_both_ends(len(batch["prompt_ids"]), trainer.preflight.run.micro_batch))
    ids, mask = (torch.cat([part[f"prompt_{name}"], part[f"completion_{name}"]], dim=1) for name in ("ids", "mask"))
    images = {name: part[name] for name in _OF_IMAGES if name in part}
    with torch.no_grad(), not_training(trainer.model):  # vLLM knows nothing of adapters' dropout
        trained, _, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, part["completion_ids"].size(1), **images
        )
    written = part["completion_mask"].bool()
    distance = (trained - part["sampling_per_token_logps"]).abs()[written].double()
    total, count = trainer.accelerator.gather(torch.stack([distance.sum(), written.sum()])).view(-1, 2).sum(dim=0)
    return float(total / count) if count else None


def from_both_ends(num_answers: int, num_chosen: int) -> list[int]:
    """The first and the last answers: to different prompts, and with neighbours that share theirs as in training."""
    chosen = min(num_chosen, num_answers)
    return [*range(chosen - chosen // 2), *range(num_answers - chosen // 2, num_answers)]


def answers_at(batch: dict[str, Any], indices: Sequence[int]) -> dict[str, Any]:
    """Some of a batch's answers with their prompts and images."""
    apart = split_pixel_values_by_grid(batch)
    chosen = {
        name: values[list(indices)] if isinstance(values, torch.Tensor) else [values[i] for i in indices]
        for name, values in apart.items()
        if not isinstance(values, torch.Tensor) or values.ndim
    }
    return dict(unsplit_pixel_values_by_grid(chosen))


class WarnsOfDrift(TrainerCallback):
    """Says when the engines drift apart later, as they do where new weights no longer reach vLLM."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.is_above = False

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Once for each time that the mean distance of a step rises above the bound."""
        difference = (logs or {}).get(_WATCHED)
        if difference is None:
            return
        was_above, self.is_above = self.is_above, not difference <= MAX_DISAGREEMENT
        if self.is_above and not was_above:
            self.console.print(
                f"[yellow]engines differ[/] at step {state.global_step}: by {difference:.3f} in the log-probability of "
                f"a token, {MAX_DISAGREEMENT} at the start's most; new weights may not reach vLLM",
                highlight=False,
            )
