"""What of a card's memory vLLM takes in GRPO, and whether it could start with that."""

from typing import Any

from r1sgg_cli.config.hardware import Preset
from r1sgg_cli.config.schema import GRPORun, Rollouts, SFTRun
from r1sgg_cli.launch.memory import GIB, vllm_bytes, vllm_share
from r1sgg_cli.launch.sequences import engine_tokens, sequence_tokens
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.launch.steps import sequences_per_step

LEAST_VLLM_SHARE = 0.2
"""The published share of a colocated engine; less was tried by nobody."""
SERVER_SHARE = 0.9
"""Of its cards, which a server takes where no share is given; newer versions of vLLM take a little more."""
SAMPLED_AT_ONCE = 32
"""Sequences for whose keys and values a colocated engine is given room; it samples more in turns."""


def planned_rollouts(run: GRPORun, preset: Preset, shape: ModelShape) -> dict[str, Any]:
    """The run's `rollouts` on a preset, as a mapping to be validated with it."""
    engines = {"transformers": "transformers", "colocated": "colocated", "servers": "server"}
    rollouts: dict[str, Any] = {"engine": engines[preset.rollouts]}
    if preset.rollouts == "colocated" and preset.gpu is not None:
        rollouts["gpu_memory_utilization"] = colocated_share(run, preset, shape, preset.gpu.memory_gib)
    return Rollouts.model_validate(rollouts).model_dump()


def colocated_share(run: GRPORun, preset: Preset, shape: ModelShape, memory_gib: float) -> float:
    """Of a card's memory, for the vLLM beside a training process."""
    if preset.gpu_memory_utilization is not None:
        return preset.gpu_memory_utilization
    at_once = min(sequences_per_step(run) // sum(preset.trainers_per_node), SAMPLED_AT_ONCE)
    tokens = max(at_once * sequence_tokens(run, shape).total, engine_tokens(run, shape))
    return max(LEAST_VLLM_SHARE, vllm_share(shape, memory_gib, 1, tokens))


def what_vllm_lacks(run: SFTRun | GRPORun, preset: Preset, shape: ModelShape) -> str | None:
    """Why a vLLM would not start: less memory than its weights and one sequence need. None if it would."""
    if run.stage != "grpo" or preset.gpu is None or preset.rollouts == "transformers":
        return None
    gib, num_cards = preset.gpu.memory_gib, preset.servers.tensor_parallel if preset.servers else 1
    if preset.servers is None:
        share = colocated_share(run, preset, shape, gib)
    else:
        share = preset.gpu_memory_utilization or SERVER_SHARE
    needed = vllm_bytes(shape, 1, engine_tokens(run, shape), num_cards) / GIB
    has = share * num_cards * gib
    if needed <= has:
        return None
    cards = f"{num_cards} cards" if num_cards > 1 else "a card"
    return (
        f"a vLLM of a {shape.num_parameters / 1e9:.1f}B model needs {needed:.1f} GiB for weights and one sequence, "
        f"preset `{preset.name}` gives it {has:.1f} GiB ({share:g} of {cards} of {gib:g} GiB)"
    )
