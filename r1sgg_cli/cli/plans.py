"""A plan as people read it before it runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from r1sgg_cli.counted import counted

if TYPE_CHECKING:
    from rich.console import Console

    from r1sgg_cli.launch.plan import TrainingPlan


def print_plan(plan: TrainingPlan, console: Console) -> None:
    """The plan as a table of two columns."""
    table = Table(show_header=False, title=f"plan: {plan.run.stage} of {escape(plan.run.model)}", title_justify="left")
    for name, value in plan_rows(plan):
        table.add_row(name, escape(value))
    console.print(table)


def plan_rows(plan: TrainingPlan) -> list[tuple[str, str]]:
    """What a plan says, a name and a sentence each."""
    return [
        ("hardware", _hardware(plan)),
        ("training", _training(plan)),
        *([("rollouts", _rollouts(plan))] if plan.run.stage == "grpo" else []),
        ("batch", _batch(plan)),
        ("memory", _memory(plan)),
        ("steps", _steps(plan)),
        *([("evaluation", _evaluation(plan))] if plan.run.recipe.evaluation else []),
        ("expected", _expected(plan)),
        ("run folder", str(plan.run.out)),
    ]


def _hardware(plan: TrainingPlan) -> str:
    preset = plan.preset
    if preset.gpu is None:
        return f"{preset.name}: CPU"
    return f"{preset.name}: {counted(preset.num_nodes, 'node')} × {preset.gpus_per_node} {preset.gpu.name}"


def _training(plan: TrainingPlan) -> str:
    run = plan.run
    spread = {
        "ddp": "whole model on each (DDP)",
        "zero2": "optimizer and gradients shared out (ZeRO-2)",
        "zero2-offload": "optimizer and gradients shared out, the optimizer in host memory (ZeRO-2 offload)",
        "zero3": "weights, gradients and optimizer shared out (ZeRO-3)",
        "zero3-offload": "all shared out, weights and optimizer in host memory (ZeRO-3 offload)",
        "fsdp2": "weights, gradients and optimizer shared out (FSDP2)",
    }[run.sharding]
    learned = f"adapters of rank {run.recipe.lora.rank}" if run.recipe.lora else "all weights"
    learned += " on 4-bit weights" if run.in_four_bits else ""
    many = run.world_size > 1
    where = f"{run.world_size} processes, {spread}" if many else "1 process"
    return f"{where}; {learned}, {run.precision}"


def _rollouts(plan: TrainingPlan) -> str:
    run, servers = plan.run, plan.preset.servers
    assert run.stage == "grpo"
    if run.rollouts.engine == "colocated":
        return f"vLLM in each training process, {run.rollouts.gpu_memory_utilization:.0%} of its GPU's memory"
    if run.rollouts.engine == "server":
        assert servers is not None
        count = servers.num_nodes * servers.per_node
        each = counted(servers.tensor_parallel, "GPU")
        return f"{counted(count, 'vLLM server')} of {each}, on {counted(servers.num_nodes, 'node')}"
    return "transformers' own generation in each training process"


def _batch(plan: TrainingPlan) -> str:
    run = plan.run
    if run.stage == "sft":
        of_step = counted(run.recipe.batch_size, "example")
    else:
        total = run.recipe.prompts_per_step * run.recipe.num_generations
        prompts = counted(run.recipe.prompts_per_step, "prompt")
        of_step = f"{prompts} × {run.recipe.num_generations} answers = {total}"
    processes = counted(run.world_size, "process", "processes")
    parts = f"{processes} × {run.micro_batch} at once × {plan.accumulation} accumulated"
    return f"{of_step} a step = {parts}"


def _memory(plan: TrainingPlan) -> str:
    from r1sgg_cli.launch.forecast import host_memory_is_for
    from r1sgg_cli.launch.memory import GIB

    memory, preset, tokens = plan.memory, plan.preset, plan.tokens
    has = f" of {round(preset.gpu.memory_gib, 1):g}" if preset.gpu else ""
    sizes = {name: size / GIB for name, size in asdict(memory).items() if name != "host"}
    parts = ", ".join(f"{name} {size:.1f}" for name, size in sizes.items() if size >= 0.05)
    loading = "" if plan.run.sharding.endswith("-offload") else f" to {host_memory_is_for(plan.run)}"
    host = f"; {memory.host / GIB:.0f} GiB of each node's memory{loading}" if memory.host else ""
    longest = f"at {tokens.total:,} tokens ({tokens.prompt} prompt, {tokens.image} image, {tokens.answer} answer)"
    return f"{memory.total / GIB:.1f}{has} GiB per {'GPU' if preset.gpu else 'process'} {longest}: {parts}{host}"


def _steps(plan: TrainingPlan) -> str:
    if plan.num_steps is None:
        return "known when the data set has been read"
    if plan.run.recipe.max_steps:
        return f"{plan.num_steps:,}"
    epochs = f"{plan.run.recipe.num_epochs:g} epoch{'' if plan.run.recipe.num_epochs == 1 else 's'}"  # 1.5 as well
    return f"{plan.num_steps:,} ({plan.num_rows:,} images × {epochs})"


def evaluation_of(plan: TrainingPlan) -> str:
    """What the model is evaluated on while it trains, how often, and which model it ends with."""
    from r1sgg_cli.config.held_out import held_out_split
    from r1sgg_cli.launch.steps import num_evaluations, num_held_out

    run, evaluation = plan.run, plan.run.recipe.evaluation
    assert evaluation is not None
    num_images = num_held_out(run)
    said = f"{counted(num_images, 'image')} of {held_out_split(run)} every {counted(evaluation.every, 'step')}"
    if plan.num_steps is not None:
        times = num_evaluations(run, plan.num_steps)
        said += f": {counted(times, 'time')}, {times * num_images:,} answers"
    by_vllm = run.stage == "grpo" and run.rollouts.engine != "transformers"
    last = f"the best by {evaluation.best_by}" if evaluation.best_by else "that of the last step"
    return f"{said}, by {'vLLM' if by_vllm else 'transformers'}; the finished model is {last}"


def _evaluation(plan: TrainingPlan) -> str:
    from r1sgg_cli.config.held_out import choice_by_test_images

    warned = choice_by_test_images(plan.run)
    return f"{evaluation_of(plan)}. Warning: {warned}" if warned else evaluation_of(plan)


def _expected(plan: TrainingPlan) -> str:
    if plan.hours is None and plan.num_steps is None:
        return "known when the data set has been read"
    if plan.hours is None:
        return "unknown: nothing that was published compares; the progress bar says after the first steps"
    minutes = round(60 * plan.hours.hours)
    about = f"about {plan.hours.hours:.1f} h" if minutes >= 60 else f"about {minutes} min" if minutes else "under 1 min"
    return f"{about} ({plan.hours.basis})"
