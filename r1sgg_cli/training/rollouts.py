"""vLLM as the sampler of a GRPO run: TRL's own path to it, with a cure for each place where that is wrong in silence.

Seen with TRL 1.16 (pyproject pins it below 1.17) and vLLM 0.31. Each cure changes nothing once its cause is gone.

1. A colocated vLLM doubles the image tokens of a prompt (trl#6294, #6401): TRL hands it the prompt in which the
   processor has expanded them already, and vLLM expands the first of them again. `collapsed`
2. After an update vLLM still uses the old features of an image that it has seen (trl#7198): TRL empties the cache of
   prefixes, not that of encoded images. `reset_encoder_cache`
3. Truncated sampling makes the gradient vanish (trl#6789): the importance ratio compares vLLM's log-probabilities,
   renormalised to what was kept, with the trainer's, which are not. `GRPORun` refuses it, before anything is queued.
4. The ratio of a whole answer is a product of hundreds, and TRL's default drops every answer for which it is above 3:
   16 to 24 % of those with 500 to 1,000 tokens. `default_options` has a ratio per token, cut at 2.
5. vLLM may sample an image token, which breaks the next forward pass (verl#7038, EasyR1#110). `stated_options`
6. TRL names no precision, and vLLM then takes the checkpoint's (16 bits for one of 32); and no limit for images, of
   which vLLM then plans memory for the checkpoint's largest: 32 times the published recipe's. `vllm_engine`
7. vLLM seeds the whole process with its rank, so that a run's own seed would be without effect. `vllm_engine`
8. Every process sends the images of every step to all others, for logs that leave them out. `without_images`

What is left over is watched: `check_same_prompt` compares each prompt, and `training.preflight` the engines.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal

import torch
from accelerate.utils import gather_object, set_seed
from rich.console import Console
from transformers import TrainerState
from trl import GRPOConfig
from trl.generation import vllm_generation
from trl.trainer import grpo_trainer
from trl.trainer.utils import strip_images_from_messages

from r1sgg_cli.config.schema import GRPORun, Rollouts
from r1sgg_cli.errors import ConfigError, ModelError
from r1sgg_cli.launch.architectures import SAMPLED_BY_VLLM, load_shape
from r1sgg_cli.launch.packages import check_vllm, installed_versions, load_supported
from r1sgg_cli.launch.sequences import engine_tokens
from r1sgg_cli.launch.servers import VLLM_DTYPES
from r1sgg_cli.models.engine_options import logit_bias, pixel_options
from r1sgg_cli.models.families import FAMILIES, family_of
from r1sgg_cli.models.images import ImageLimits
from r1sgg_cli.training.engine_start import OTHER_WAY, start_engine
from r1sgg_cli.training.standing_in import standing_in

SERVER_TIMEOUT_S = 1800
"""A server may start together with the trainer, and then loads a model of many gigabytes first."""

_ENGINE_NAMES = {"colocated": "a vLLM engine in each training process", "server": "a vLLM server"}
_VLLM_MODES: dict[str, Literal["colocate", "server"]] = {"colocated": "colocate", "server": "server"}


def check_engine(run: GRPORun) -> None:
    """Make sure that this machine and this checkpoint can have the run's `rollouts`. Raises `R1SGGError`."""
    if run.rollouts.engine == "transformers":
        return
    if find_spec("vllm") is None:
        raise ConfigError(f"rollouts by vLLM need it installed: `uv sync --extra vllm`, or {OTHER_WAY}")
    found = check_vllm(load_supported(), installed_versions(sys.path), for_gpu=torch.cuda.is_available())
    if found.is_fault:
        raise ConfigError(f"rollouts by vLLM cannot be had: {found.detail}; `{found.remedy}` mends it")
    family = family_of(run.model)
    if family.model_type not in SAMPLED_BY_VLLM:
        seen = ", ".join(FAMILIES[name].name for name in SAMPLED_BY_VLLM)
        raise ConfigError(f"rollouts by vLLM were seen to be right for {seen}, not for {family.name}; use {OTHER_WAY}")
    if run.rollouts.engine == "server" and not run.rollouts.server_url:
        raise ConfigError(
            "rollouts by a vLLM server need its address; the job that starts the servers exports R1SGG_SERVER_URL"
        )


def stated_options(rollouts: Rollouts, unsampled: Sequence[int]) -> dict[str, Any]:
    """What `rollouts` says of TRL's options; `unsampled` are ids of tokens that are never sampled."""
    mode = _VLLM_MODES.get(rollouts.engine)
    suppressed: dict[str, Any] = {"suppress_tokens": list(unsampled)}  # TRL suppresses the image token alone
    if mode is not None:
        suppressed = {"logit_bias": logit_bias(unsampled)}
    return {
        "use_vllm": mode is not None,
        "vllm_mode": mode or "colocate",
        "vllm_server_base_url": rollouts.server_url,
        "vllm_gpu_memory_utilization": rollouts.gpu_memory_utilization,
        "vllm_tensor_parallel_size": 1,
        "generation_kwargs": suppressed,
    }


def default_options(rollouts: Rollouts, max_model_length: int | None) -> dict[str, Any]:
    """Options of TRL that follow from `rollouts` unless the recipe's `trainer` sets them."""
    if rollouts.engine == "transformers":
        return {}
    return {
        "vllm_server_timeout": SERVER_TIMEOUT_S,
        "vllm_max_model_length": max_model_length,
        "vllm_importance_sampling_mode": "token_truncate",
        "vllm_importance_sampling_clip_max": 2.0,
    }


def max_model_length(run: GRPORun) -> int | None:
    """Tokens of the longest prompt and answer, as the plan counts them; None where vLLM is not asked.

    It keeps no room for the model's whole context then, and refuses a longer prompt, for which
    `trainer.vllm_max_model_length` can be set.
    """
    if run.rollouts.engine == "transformers":
        return None
    return engine_tokens(run, load_shape(run.model))


def say_rollouts(config: GRPOConfig, rollouts: Rollouts, console: Console) -> None:
    """One line on who samples, and how the difference between the engines is made good."""
    if not config.use_vllm:
        return
    engine = _ENGINE_NAMES[rollouts.engine]
    if config.vllm_importance_sampling_correction:
        mode, most = config.vllm_importance_sampling_mode, config.vllm_importance_sampling_clip_max
        correction = f"importance ratios corrected by `{mode}` at {most}"
    else:
        correction = "importance ratios are not corrected, and after the start nobody watches whether the engines agree"
    console.print(f"rollouts: {engine}; {correction}", highlight=False)


def collapsed(ids: Sequence[int], pad: int) -> list[int]:
    """Token ids with one `pad` in place of each run of them: what vLLM expands for an image. (trl#6294, #6401)"""
    return [token for i, token in enumerate(ids) if token != pad or i == 0 or ids[i - 1] != pad]


def check_same_prompt(sampled_from: Sequence[int], prompt: Sequence[int]) -> None:
    """Make sure that vLLM has answered the trainer's prompt. Raises `ModelError`.

    They differ where the checkpoint's folder and its processor have different limits for images.
    """
    if list(sampled_from) != list(prompt):
        raise ModelError(
            f"vLLM read a prompt as {len(sampled_from)} tokens, the trainer as {len(prompt)}: they count an image's "
            f"tokens differently, so that training would be on other prompts; use {OTHER_WAY}"
        )


def reset_encoder_cache(generation: Any) -> None:
    """Make vLLM forget the features of images, which are those of weights that it no longer has. (trl#7198)"""
    if generation.mode == "colocate":
        generation.llm.llm_engine.reset_encoder_cache()
    elif generation.accelerator.is_main_process:
        client = generation.vllm_client
        response = client.session.post(f"{client.base_url}/reset_encoder_cache")
        if not response.ok:
            raise ConfigError(
                f"the vLLM server at {client.base_url} does not forget old image features (HTTP "
                f"{response.status_code}); start it with `VLLM_SERVER_DEV_MODE=1`"
            )


def without_images(logged: Any) -> Any:
    """A conversation without its images; anything else that TRL gathers for its logs as it is."""
    if isinstance(logged, list) and all(isinstance(turn, dict) for turn in logged):
        return strip_images_from_messages(logged)
    return logged


def _gather_without_images(objects: list[Any]) -> Any:
    return gather_object([without_images(item) for item in objects])


class SamplesRight:
    """Mixed into TRL's trainer, before it: rollouts by vLLM of the prompts and the weights that are trained on."""

    use_vllm: bool
    vllm_generation: Any
    processing_class: Any
    state: TrainerState
    _last_loaded_step: int

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: Any, num_generations: int, **others: Any
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        """Answers and their log-probabilities. (In TRL 1.16: this, without what is named here.)"""
        if not self.use_vllm:
            return super()._generate_single_turn(  # type: ignore[misc]
                prompt_ids, images, multimodal_fields, num_generations, **others
            )
        generation = self.vllm_generation
        if self.state.global_step != self._last_loaded_step:
            generation.sync_weights()
            reset_encoder_cache(generation)
            self._last_loaded_step = self.state.global_step
        asked = prompt_ids
        if generation.mode == "colocate":  # a server is given the image's features with their place among the tokens
            asked = [collapsed(ids, self.processing_class.image_token_id) for ids in prompt_ids]
        sampled_from, answers, logprobs, _ = generation.generate(asked, images, num_generations)
        for read, ids in zip(sampled_from, prompt_ids, strict=True):
            check_same_prompt(read, ids)
        return answers, [[of_token[0] for of_token in of_answer] for of_answer in logprobs]

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        """A step's answers and rewards. TRL gathers prompts with their images also where no log wants them."""
        with standing_in(grpo_trainer, "gather_object", _gather_without_images):
            return super()._generate_and_score_completions(inputs)  # type: ignore[misc]


@contextmanager
def vllm_engine(run: GRPORun, limits: ImageLimits) -> Iterator[None]:
    """While it lasts, a trainer that is made makes its colocated vLLM in the run's precision and image `limits`.

    Raises `ConfigError` for an engine that does not start, and for a server that does not answer.
    """
    if run.rollouts.engine == "transformers":
        yield
        return
    one_image = {"image": 1, "video": 0}  # vLLM measures memory with as many as it must expect
    engine = partial(
        start_engine,
        vllm_generation.LLM,
        dtype=VLLM_DTYPES[run.precision],
        limit_mm_per_prompt=one_image,
        mm_processor_kwargs=pixel_options(limits),
    )
    try:
        with standing_in(vllm_generation, "LLM", engine):
            yield
    except ConnectionError as error:  # what TRL raises after `vllm_server_timeout`
        raise ConfigError(f"no vLLM server answers at `{run.rollouts.server_url}`; start it, or see its log") from error
    set_seed(run.seed, device_specific=True)  # as TRL does before it starts vLLM


def end_engine(trainer: Any) -> None:
    """Take a colocated vLLM down. It ends the processes' group as well, and otherwise would do so at Python's exit,
    where the group may be gone already and a finished run would close with a traceback."""
    if trainer.use_vllm and trainer.vllm_generation.mode == "colocate":
        trainer.vllm_generation.llm.llm_engine.engine_core.shutdown()
