"""The trainer's options: the recipe's, then TRL's own names, each checked before anything is loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from trl import SFTConfig

from r1sgg_cli.config.recipes import resolve_run
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import ConfigError, DataError, OutputError
from r1sgg_cli.training.grpo import grpo_config, reward_functions
from r1sgg_cli.training.worker import begun, num_micro_batches, trainer_config


def sft_run(out: Path, *overrides: str) -> SFTRun:
    return resolve_run(SFTRun, None, overrides, model="m", dataset="d", out=out, precision="float32")


def grpo_run(out: Path, *overrides: str) -> GRPORun:
    return resolve_run(GRPORun, None, overrides, model="m", dataset="d", out=out, precision="float32")


def test_trl_options_are_reachable_under_their_own_names(tmp_path: Path) -> None:
    config = trainer_config(
        SFTConfig, sft_run(tmp_path, "trainer.neftune_noise_alpha=5", "trainer.logging_steps=7"), {}
    )
    assert (config.neftune_noise_alpha, config.logging_steps) == (5, 7)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "trainer.gradient_checkpoint=true",
            "has no option `gradient_checkpoint`; did you mean `gradient_checkpointing`",
        ),
        ("trainer.learning_rate=1", "`trainer.learning_rate` follows from the recipe"),
        ("trainer.save_strategy=sometimes", "the trainer refuses its options: sometimes is not a valid"),
        ("trainer.logging_steps=abc", "the trainer refuses its options"),
    ],
    ids=["misspelt", "stated by the recipe", "no such word", "no number"],
)
def test_a_wrong_trainer_option_is_one_line(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        trainer_config(SFTConfig, sft_run(tmp_path, override), {})


def test_the_update_is_the_papers(tmp_path: Path) -> None:
    config = grpo_config(grpo_run(tmp_path))
    assert (config.loss_type, config.scale_rewards, config.beta, config.num_iterations) == ("dapo", "group", 0.0, 1)
    assert (config.temperature, config.top_p, config.top_k) == (1.0, 1.0, 0)
    assert config.generation_batch_size == 32 * 8
    assert config.steps_per_generation == config.gradient_accumulation_steps == 32 * 8 // 4


def test_another_loss_is_reachable_under_trls_name(tmp_path: Path) -> None:
    assert grpo_config(grpo_run(tmp_path, "trainer.loss_type=grpo")).loss_type == "grpo"


def test_checkpoints_fall_between_rollouts_so_that_a_resumed_run_samples_as_before(tmp_path: Path) -> None:
    assert grpo_config(grpo_run(tmp_path, "trainer.num_iterations=2")).num_iterations == 2
    with pytest.raises(ConfigError, match="must be a multiple of 3 iterations"):
        grpo_config(grpo_run(tmp_path, "trainer.num_iterations=3"))


def test_images_stay_out_of_the_logs(tmp_path: Path) -> None:
    assert grpo_config(grpo_run(tmp_path)).log_multimodal is False


def test_the_micro_batch_changes_no_batch(tmp_path: Path) -> None:
    runs = [grpo_run(tmp_path).model_copy(update={"micro_batch": size}) for size in (1, 8, 256)]
    configs = [grpo_config(run) for run in runs]
    assert {c.per_device_train_batch_size * c.gradient_accumulation_steps for c in configs} == {256}


def test_an_unknown_reward_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no reward `edge_rewrad`; did you mean `edge_reward`\? there are format"):
        reward_functions(grpo_run(tmp_path, "rewards.edge_rewrad=1"))


@pytest.mark.parametrize(
    ("overrides", "task"),
    [
        pytest.param(["tasks={det: 1}", "rewards={edge_reward: 1}"], "det", id="objects alone have no edges"),
        pytest.param(
            ["tasks={sgg: 1, cls: 1}", "rewards={node_acc_reward: 1}"], "cls", id="given objects earn nothing"
        ),
        pytest.param(["tasks={sgg: 1, det: 1}"], "det", id="form alone teaches nothing"),
    ],
)
def test_a_task_that_no_reward_applies_to_is_refused(tmp_path: Path, overrides: list[str], task: str) -> None:
    with pytest.raises(ConfigError, match=f"looks at what task `{task}` answers; name one of (node_acc|edge)_reward"):
        reward_functions(grpo_run(tmp_path, *overrides))
    rewards = "rewards={format_reward: 1, node_box_reward: 1, edge_reward: 1}"
    assert reward_functions(grpo_run(tmp_path, "tasks={sgg: 1, det: 1, cls: 1}", rewards))


def test_rewards_keep_their_names_for_the_logs(tmp_path: Path) -> None:
    assert [f.__name__ for f in reward_functions(grpo_run(tmp_path))] == ["format_reward", "edge_hard_reward"]


def test_predicates_are_weighed_by_what_the_data_set_counted(synthetic_dataset: Path, tmp_path: Path) -> None:
    run = grpo_run(tmp_path, "rewards={weighted_recall_reward: 1}")
    with pytest.raises(DataError, match=r"`d` has no `train_statistics.json`.*`r1sgg prepare` writes it"):
        reward_functions(run)
    (reward,) = reward_functions(run.model_copy(update={"dataset": str(synthetic_dataset)}))
    weights = reward.keywords["predicate_weights"]
    assert (min(weights.values()), max(weights.values())) == (2, 10)
    assert reward.__name__ == "weighted_recall_reward"


def test_processes_share_a_batch(tmp_path: Path) -> None:
    run = sft_run(tmp_path).model_copy(update={"micro_batch": 4, "world_size": 8})
    assert num_micro_batches(run, 128) == 4


@pytest.mark.parametrize("foreign", [False, True], ids=["the launcher's files", "and another"])
def test_a_run_begins_beside_what_the_launcher_wrote_and_beside_nothing_else(
    foreign: bool, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    given = {"model": str(tiny_checkpoint("qwen2_vl")), "dataset": str(synthetic_dataset), "precision": "float32"}
    run = resolve_run(SFTRun, None, (), **given, out=tmp_path / "run")
    (run.out / "logs").mkdir(parents=True)
    for name in ("launch.yaml", "job.sh", *(["thesis.tex"] if foreign else [])):
        (run.out / name).touch()
    if foreign:
        with pytest.raises(OutputError, match="holds something else"), begun(run, Console(quiet=True)):
            pass
    else:
        with begun(run, Console(quiet=True)) as is_new:
            assert is_new


def test_the_trainer_evaluates_when_the_recipe_says_and_keeps_the_best_beside_the_last_ones(tmp_path: Path) -> None:
    off = grpo_config(grpo_run(tmp_path))
    assert (off.eval_strategy, off.save_total_limit, off.metric_for_best_model) == ("no", 2, None)
    config = grpo_config(grpo_run(tmp_path, "evaluation.every=100", "evaluation.best_by=failure_rate"))
    assert (config.eval_strategy, config.eval_steps, config.eval_on_start) == ("steps", 100, True)
    assert (config.metric_for_best_model, config.greater_is_better) == ("failure_rate", False)
    assert (config.save_total_limit, config.load_best_model_at_end) == (3, False)
    uneven = ("num_generations=5", "prompts_per_step=4", "evaluation.best_by=mean_recall")
    config = grpo_config(grpo_run(tmp_path, *uneven))
    assert config.greater_is_better


@pytest.mark.parametrize(
    ("override", "way"),
    [
        ("trainer.eval_strategy=steps", "set `evaluation.every`"),
        ("trainer.load_best_model_at_end=true", "set `evaluation.best_by`"),
    ],
    ids=["when", "the best"],
)
def test_what_an_evaluation_is_comes_from_the_recipe(override: str, way: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=way):
        grpo_config(grpo_run(tmp_path, override))
