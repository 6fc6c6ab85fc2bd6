"""A plan: the recipe's global batch on any preset, or a refusal with the numbers and the nearest that fits."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.config.hardware import Preset
from r1sgg_cli.config.layers import SHIPPED, validated
from r1sgg_cli.config.presets import known_presets, load_preset
from r1sgg_cli.config.recipes import load_recipe, resolve_run
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.data.prompts import Prompting, system_prompt, user_prompt
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.launch.architectures import parse_shape
from r1sgg_cli.launch.forecast import FITS_UP_TO
from r1sgg_cli.launch.memory import GIB, vllm_bytes
from r1sgg_cli.launch.plan import TrainingPlan, plan_training, server_tokens
from r1sgg_cli.launch.sequences import (
    ENGINE_TEXT_TOKENS,
    PROMPT_TOKENS,
    VOCABULARY_TOKENS,
    engine_tokens,
    sequence_tokens,
)
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.launch.steps import sequences_per_step
from tests.launch.shapes import published_config

FOLDERS = [folder for folder in SHIPPED if folder.is_dir()]
SHIPPED_PRESETS = [load_preset(name, FOLDERS) for name in known_presets(FOLDERS)]
MODELS = {"2B": "Qwen/Qwen2-VL-2B-Instruct", "7B": "Qwen/Qwen2-VL-7B-Instruct"}


def shape_of(size: str) -> ModelShape:
    return parse_shape(published_config(MODELS[size]), MODELS[size])


def run_of(stage: str, recipe: str | None = None, **values: Any) -> SFTRun | GRPORun:
    kind: type[SFTRun | GRPORun] = SFTRun if stage == "sft" else GRPORun
    given = {"model": "m", "dataset": "d", "out": Path("o"), "precision": "bf16", "micro_batch": 1}
    overrides = [f"{key}={value}" for key, value in values.items()]
    return resolve_run(kind, recipe, overrides, **given)


def planned(stage: str, preset: str, size: str, recipe: str | None = None, **values: Any) -> TrainingPlan:
    run = run_of(stage, recipe, **values)
    return plan_training(run, load_preset(preset, FOLDERS), shape_of(size), 56_224, alternatives=SHIPPED_PRESETS)


@pytest.mark.parametrize(
    ("stage", "preset", "size", "sharding"),
    [
        ("sft", "a100-4x", "2B", "ddp"),
        ("sft", "a100-4x", "7B", "zero2"),
        ("grpo", "a100-16x", "2B", "ddp"),
        ("grpo", "a100-16x", "7B", "zero2"),
        ("grpo", "gh200-16x", "7B", "zero2"),
        ("grpo", "h200-8x", "2B", "ddp"),
        ("sft", "rtx4090-8x", "7B", "zero3-offload"),
        ("grpo", "rtx3090-8x", "7B", "zero3-offload"),
    ],
)
def test_the_published_recipes_fit_the_shipped_presets(stage: str, preset: str, size: str, sharding: str) -> None:
    plan = planned(stage, preset, size)
    assert plan.run.sharding == sharding
    assert plan.preset.gpu is not None
    assert plan.memory.total <= FITS_UP_TO * plan.preset.gpu.memory_gib * GIB


@pytest.mark.parametrize(
    ("preset", "sharding"),
    [
        pytest.param("rtx4090-8x", "zero3", id="vLLM servers"),
        pytest.param("a100-4x", "ddp", id="a vLLM in each process, in float32"),
    ],
)
def test_weights_under_adapters_are_never_in_zero2_where_vllm_samples(preset: str, sharding: str) -> None:
    assert planned("grpo", preset, "7B", "grpo-lora").run.sharding == sharding


@pytest.mark.parametrize("sharding", ["zero2", "zero2-offload"])
def test_zero2_that_was_asked_for_is_refused_under_adapters_where_vllm_samples(sharding: str) -> None:
    adapters, shape = run_of("grpo", "grpo-lora"), shape_of("2B")
    asked = load_preset("a100-4x", FOLDERS, {"sharding": sharding})
    with pytest.raises(ConfigError, match=rf"`sharding: {sharding}` .* use `--set preset.sharding=zero3`"):
        plan_training(adapters, asked, shape)
    for run in (run_of("grpo"), run_of("sft", "sft-lora")):
        assert plan_training(run, asked, shape).run.sharding == sharding
    generate = asked.model_copy(update={"rollouts": "transformers"})
    assert plan_training(adapters, generate, shape).run.sharding == sharding


@pytest.mark.parametrize("preset", [p.name for p in SHIPPED_PRESETS])
@pytest.mark.parametrize("stage", ["sft", "grpo"])
@pytest.mark.parametrize("recipe", [None, "lora"])
def test_every_preset_makes_the_same_steps_or_is_refused(preset: str, stage: str, recipe: str | None) -> None:
    named = f"{stage}-lora" if recipe else None
    try:
        plan = planned(stage, preset, "2B", named)
    except ConfigError as refusal:
        said = str(refusal)
    else:
        assert plan.run.recipe == run_of(stage, named).recipe
        total = plan.run.world_size * plan.run.micro_batch * plan.accumulation
        assert total == sequences_per_step(plan.run)
        assert plan.num_steps == (1_757 if stage == "grpo" else 1_320)
        return
    assert "\n" not in said
    assert re.search("`--(set|recipe|preset) |no shipped preset holds it", said)


@pytest.mark.parametrize(
    ("stage", "preset", "size", "recipe", "images_at_once", "takes_more"),
    [
        pytest.param("sft", "a100-4x", "2B", None, 8, False, id="a step needs more anyway"),
        pytest.param("sft", "single-24gb", "2B", "sft-lora", 64, True, id="many images"),
        pytest.param("sft", "rtx4090-8x", "7B", None, 1, True, id="weights that are gathered"),
        pytest.param("grpo", "single-24gb", "2B", "grpo-lora", 64, False, id="vLLM has its share"),
        pytest.param("grpo", "rtx4090-8x", "2B", None, 64, False, id="a server answers"),
    ],
)
def test_the_answers_of_an_evaluation_are_forecast_where_transformers_writes_them(
    stage: str, preset: str, size: str, recipe: str | None, images_at_once: int, takes_more: bool
) -> None:
    without = planned(stage, preset, size, recipe)
    with_it = planned(stage, preset, size, recipe, evaluation=f"{{images_at_once: {images_at_once}}}")
    assert (with_it.memory.rollouts > without.memory.rollouts) == takes_more
    assert (with_it.memory.total > without.memory.total) == takes_more


def test_grpo_that_generates_is_forecast_with_whichever_answers_are_more() -> None:
    preset = load_preset("a100-4x", FOLDERS, {"rollouts": "transformers"})
    few, many = (
        plan_training(run_of("grpo", "grpo-lora", evaluation=f"{{images_at_once: {number}}}"), preset, shape_of("2B"))
        for number in (8, 128)
    )
    alone = plan_training(run_of("grpo", "grpo-lora"), preset, shape_of("2B"))
    assert few.memory.rollouts == alone.memory.rollouts  # 64 answers of a step
    assert many.memory.rollouts > alone.memory.rollouts


def test_an_evaluation_that_does_not_fit_is_refused_with_what_does() -> None:
    with pytest.raises(ConfigError, match=r"or evaluate one image at a time \(`--set evaluation.images_at_once=1`\)"):
        planned("sft", "rtx4090-8x", "7B", evaluation="{}")


@pytest.mark.parametrize(
    ("stage", "recipe", "overrides", "least"),
    [
        pytest.param("sft", "sft-qlora", {}, 4, id="SFT"),
        pytest.param("grpo", "grpo-qlora", {"rollouts": "transformers"}, 4, id="GRPO"),
    ],
)
def test_four_bits_leave_a_7b_room_on_one_small_card(
    stage: str, recipe: str, overrides: dict[str, Any], least: int
) -> None:
    preset, shape = load_preset("single-24gb", FOLDERS, overrides), shape_of("7B")
    plan = plan_training(run_of(stage, recipe), preset, shape)
    assert plan.run.micro_batch >= least
    assert plan.memory.weights < 7.5 * GIB
    assert plan.memory.host == 4 * shape.num_parameters  # to merge the adapters in the end


def test_four_bits_are_whole_on_each_card_though_there_are_many() -> None:
    assert planned("sft", "rtx4090-8x", "7B", "sft-lora").run.sharding == "ddp"
    assert planned("sft", "rtx4090-8x", "7B", "sft-qlora").run.sharding == "ddp"


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        pytest.param("single-24gb", {}, "does not go with vLLM: .*`--set preset.rollouts=transformers`", id="vLLM"),
        pytest.param(
            *("a100-4x", {"rollouts": "transformers", "sharding": "zero3"}),
            "which `sharding: zero3` would cut or convert; use `--set preset.sharding=ddp`",
            id="ZeRO-3",
        ),
    ],
)
def test_four_bits_are_refused_where_they_would_not_survive(
    preset: str, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_training(run_of("grpo", "grpo-qlora"), load_preset(preset, FOLDERS, overrides), shape_of("7B"))


@pytest.mark.parametrize(
    ("preset", "size", "expected"),
    [
        pytest.param("h100-8x", "2B", "ddp", id="2B"),
        pytest.param("h100-8x", "7B", "fsdp2", id="7B, which DeepSpeed would not cut in FP8"),
        pytest.param("h200-8x", "2B", "ddp", id="H200"),
        pytest.param("gh200-16x", "2B", "ddp", id="GH200"),
        pytest.param("rtx4090-8x", "2B", "fsdp2", id="RTX 4090"),
        pytest.param("a100-4x", "2B", "A100 80 GB has none; use `--set preset.precision=bf16`", id="A100"),
        pytest.param("rtx3090-8x", "2B", "RTX 3090 24 GB has none; use `--set preset.precision=bf16`", id="RTX 3090"),
        pytest.param("single-24gb", "2B", "24 GB has none; .*`--set preset.gpu.fp8=true`", id="any card of 24 GB"),
        pytest.param("cpu", "2B", "the CPU has none", id="CPU"),
    ],
)
def test_eight_bits_are_for_cards_that_have_them(preset: str, size: str, expected: str) -> None:
    run, named = run_of("sft"), load_preset(preset, FOLDERS, {"precision": "fp8"})
    if "has none" in expected:
        with pytest.raises(ConfigError, match=expected):
            plan_training(run, named, shape_of(size))
    else:
        plan = plan_training(run, named, shape_of(size))
        assert (plan.run.precision, plan.run.sharding) == ("fp8", expected)


def test_eight_bits_keep_no_copies_of_weights_in_sixteen() -> None:
    plans = [
        plan_training(
            run_of("sft"), load_preset("h100-8x", FOLDERS, {"precision": precision}), shape_of("2B"), micro_batch=1
        )
        for precision in ("fp8", "bf16")
    ]
    assert plans[0].memory.total < plans[1].memory.total
    assert plans[0].memory.weights == plans[1].memory.weights


def test_servers_sample_for_grpo_alone() -> None:
    assert planned("grpo", "rtx4090-8x", "7B").run.world_size == 4
    sft = planned("sft", "rtx4090-8x", "7B")
    assert (sft.run.world_size, sft.preset.servers) == (8, None)


def test_the_fused_layout_takes_the_published_batch() -> None:
    plan = planned("grpo", "rtx4090-120x", "7B", prompts_per_step=20)
    assert (plan.run.world_size, plan.run.sharding) == (80, "zero3")
    assert plan.run.micro_batch * plan.accumulation == 2


@pytest.mark.parametrize(
    ("stage", "preset", "size", "overrides", "message"),
    [
        pytest.param(
            *("grpo", "rtx4090-120x", "7B", {}),
            r"256 answers \(32 prompts × 8\) cannot be shared equally by the 80 .*`--set prompts_per_step=30` or "
            r"`--set prompts_per_step=40`",
            id="not divisible",
        ),
        pytest.param(
            *("sft", "a100-4x", "2B", {"host_memory_gib": 30, "sharding": "ddp"}),
            r"needs at least 33 GiB of each node's memory to load its weights \(ddp, .*has 30 GiB; .*--preset a100-4x",
            id="too little host memory",
        ),
        pytest.param(
            *("sft", "single-24gb", "2B", {}),
            r"sft of all weights of a 2.2B model needs at least \d+\.\d GiB on each GPU \(ddp, micro-batch 1\), preset "
            r"`single-24gb` has 23.5 GiB; train adapters \(`--recipe sft-lora`\) or use `--preset a100-4x`",
            id="too large for one card",
        ),
        pytest.param(
            *("sft", "single-24gb", "7B", {"gpu": {"memory_gib": 15}}),
            r"preset `single-24gb` has 15 GiB; train adapters \(`--recipe sft-qlora`\) or use",
            id="too large in 16 bits",
        ),
        pytest.param(
            *("grpo", "a100-4x", "2B", {"rollouts": "transformers", "gpus_per_node": 1}),
            r"sample fewer answers at once \(`--set prompts_per_step=\d+`, which is another recipe\)",
            id="too many answers at once",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_nearest_that_does(
    stage: str, preset: str, size: str, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_training(
            run_of(stage), load_preset(preset, FOLDERS, overrides), shape_of(size), alternatives=SHIPPED_PRESETS
        )


def test_a_micro_batch_that_was_asked_for_is_taken_or_refused() -> None:
    run, preset, shape = run_of("sft"), load_preset("a100-4x", FOLDERS), shape_of("7B")
    assert plan_training(run, preset, shape, micro_batch=2).run.micro_batch == 2
    with pytest.raises(ConfigError, match="`--micro-batch 5` does not divide the 32 examples"):
        plan_training(run, preset, shape, micro_batch=5)
    with pytest.raises(ConfigError, match=r"micro-batch 32.*; leave `--micro-batch` to the plan"):
        plan_training(run, preset, shape, micro_batch=32)


def test_more_memory_never_means_a_slower_step() -> None:
    """Micro-batches grow, until they can do without gradient checkpointing; then those grow."""
    sizes = [24.0, 40.0, 79.0, 139.0]
    run, shape = run_of("sft", "sft-lora"), shape_of("2B")
    at_once = []
    for size in sizes:
        preset = load_preset("a100-4x", FOLDERS, {"gpu": {"memory_gib": size}})
        planned = plan_training(run, preset, shape).run
        assert planned.stage == "sft"
        at_once.append((not planned.gradient_checkpointing, planned.micro_batch))
    assert at_once == sorted(at_once)
    assert at_once[0] < (True, 1) < at_once[-1]


@settings(max_examples=60, deadline=None)
@given(prompts=st.integers(1, 64), generations=st.integers(2, 16), gpus=st.integers(1, 8), nodes=st.integers(1, 4))
def test_the_parts_of_a_batch_make_the_batch(prompts: int, generations: int, gpus: int, nodes: int) -> None:
    run = validated(
        GRPORun,
        {
            **{"model": "m", "dataset": "d", "out": "o", "precision": "bf16", "micro_batch": 1},
            "recipe": {**load_recipe("grpo-lora"), "prompts_per_step": prompts, "num_generations": generations},
        },
    )
    preset = load_preset("h200-8x", FOLDERS, {"gpus_per_node": gpus, "num_nodes": nodes})
    if prompts * generations % (gpus * nodes):
        with pytest.raises(ConfigError, match="cannot be shared equally"):
            plan_training(run, preset, shape_of("2B"))
    else:
        plan = plan_training(run, preset, shape_of("2B"))
        assert plan.run.world_size * plan.run.micro_batch * plan.accumulation == prompts * generations


def test_prompts_are_no_longer_than_a_forecast_says() -> None:
    """Four characters make a token in English prose; a token has at least three in these prompts."""
    from r1sgg_cli.scene_graph.vocabulary import load_vocabulary

    for name in ("vg150", "psg"):
        vocabulary = load_vocabulary(name)
        for predefined in (False, True):
            prompting = Prompting(True, predefined)
            text = system_prompt(prompting) + user_prompt({}, prompting, "", vocabulary, vocabulary_named=True)
            allowed = PROMPT_TOKENS + (VOCABULARY_TOKENS if predefined else 0)
            assert len(text) / 3 <= allowed


def test_tokens_are_those_of_the_recipe() -> None:
    tokens = sequence_tokens(run_of("grpo"), shape_of("2B"))
    assert (tokens.image, tokens.answer) == (512, 1024)
    assert sequence_tokens(run_of("sft"), shape_of("2B")).image == 1024


@pytest.mark.parametrize(
    ("preset", "model_tokens", "options", "expected"),
    [
        pytest.param("rtx4090-8x", 32_768, {}, 512 + ENGINE_TEXT_TOKENS + 1024, id="any prompt and its answer"),
        pytest.param("rtx4090-8x", 4_096, {}, 4_096, id="all that a small model has"),
        pytest.param("rtx4090-8x", 32_768, {"trainer.vllm_max_model_length": 20_000}, 20_000, id="as the recipe says"),
        pytest.param("a100-4x", 32_768, {}, None, id="no servers"),
    ],
)
def test_servers_take_prompts_of_any_task(
    preset: str, model_tokens: int, options: dict[str, Any], expected: int | None
) -> None:
    shape = replace(shape_of("7B"), max_tokens=model_tokens)
    assert server_tokens(plan_training(run_of("grpo", **options), load_preset(preset, FOLDERS), shape)) == expected


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        pytest.param(
            *("h100-8x", {"gpu_memory_utilization": 0.05}),
            r"a vLLM of a 8.3B model needs 18.0 GiB for weights and one sequence, preset `h100-8x` gives it 4.0 GiB "
            r"\(0.05 of a card of 79 GiB\); leave `gpu_memory_utilization` to the plan",
            id="a share that was asked for",
        ),
        pytest.param(
            *("rtx4090-8x", {"servers": {"tensor_parallel": 4}, "gpu_memory_utilization": 0.2}),
            r"gives it 18.8 GiB \(0.2 of 4 cards of 23.5 GiB\); leave `gpu_memory_utilization` to the plan",
            id="servers' share",
        ),
        pytest.param(
            *("rtx4090-8x", {"gpu": {"memory_gib": 15.5}, "servers": {"per_node": 4, "tensor_parallel": 1}}),
            r"gives it 14.0 GiB \(0.9 of a card of 15.5 GiB\); use `--preset a100-4x`",
            id="cards too small for a server",
        ),
    ],
)
def test_a_vllm_that_could_not_start_is_refused(preset: str, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        plan_training(
            run_of("grpo"), load_preset(preset, FOLDERS, overrides), shape_of("7B"), alternatives=SHIPPED_PRESETS
        )
    assert "\n" not in str(refusal.value)


def test_a_share_left_to_the_plan_holds_the_longest_sequence() -> None:
    """Also where a process samples one answer."""
    run = run_of("grpo", prompts_per_step=1, num_generations=8)
    gpu = {"memory_gib": 60}
    plan = plan_training(run, load_preset("h100-8x", FOLDERS, {"gpu": gpu}), shape_of("7B"))
    assert isinstance(plan.run, GRPORun)
    needed = vllm_bytes(plan.shape, 1, engine_tokens(plan.run, plan.shape))
    assert plan.run.rollouts.gpu_memory_utilization * 60 * GIB >= needed


def test_a_plan_changes_no_preset_and_no_run() -> None:
    run, preset = run_of("grpo"), load_preset("a100-16x", FOLDERS)
    before = run.model_dump(), preset.model_dump()
    plan_training(run, preset, shape_of("2B"))
    assert (run.model_dump(), preset.model_dump()) == before
    assert isinstance(preset, Preset)
