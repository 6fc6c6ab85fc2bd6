"""What the schema refuses before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.layers import validated
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import ConfigError

GIVEN = {"model": "m", "dataset": "d", "out": Path("run"), "precision": "float32"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"report_to": ["wandb", "excel"]}, "report_to.1: .*'trackio'.*got `excel`", id="tracker"),
        pytest.param({"seed": -1}, "seed: .*greater than or equal to 0", id="negative seed"),
        pytest.param({"recipe": {"learning_rate": float("nan")}}, "learning_rate: .*finite", id="NaN"),
        pytest.param({"recipe": {"num_epochs": float("inf")}}, "num_epochs: .*finite", id="infinite"),
        pytest.param({"recipe": {"warmup": float("inf")}}, "warmup: .*finite", id="infinite warm-up"),
        pytest.param({"recipe": {"rewards": {"edge_reward": 0}}}, "rewards.edge_reward: .*than 0", id="no weight"),
        pytest.param({"recipe": {"rewards": {"edge_reward": -1}}}, "rewards.edge_reward: .*than 0", id="penalty"),
        pytest.param({"recipe": {"rewards": {"edge_reward": float("inf")}}}, "rewards.edge_reward: .*finite", id="all"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validated(GRPORun, {**GIVEN, **changes})


@pytest.mark.parametrize(
    ("kind", "recipe", "micro_batch", "message"),
    [
        (
            SFTRun,
            {"batch_size": 20},
            8,
            "`--micro-batch 8` does not divide the 20 examples of a step; `--micro-batch 5` does",
        ),
        (
            SFTRun,
            {"batch_size": 7},
            4,
            "`--micro-batch 4` does not divide the 7 examples of a step; `--micro-batch 1` does",
        ),
        (
            SFTRun,
            {"batch_size": 8},
            16,
            "`--micro-batch 16` does not divide the 8 examples of a step; `--micro-batch 8` does",
        ),
        (
            GRPORun,
            {"prompts_per_step": 3, "num_generations": 4},
            5,
            "`--micro-batch 5` does not divide the 12 answers of a step; `--micro-batch 4` does",
        ),
    ],
    ids=["largest divisor below", "prime batch", "larger than the batch", "GRPO"],
)
def test_a_micro_batch_that_does_not_divide_names_one_that_does(
    kind: type[SFTRun | GRPORun], recipe: dict[str, Any], micro_batch: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        validated(kind, {**GIVEN, "recipe": recipe, "micro_batch": micro_batch})


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        ({"top_p": 0.9}, "top_p=0.9"),
        ({"top_k": 50}, "top_k=50"),
        ({"trainer": {"min_p": 0.1}}, "trainer.min_p=0.1"),
        ({"trainer": {"repetition_penalty": 1.1}}, "trainer.repetition_penalty=1.1"),
        ({"trainer": {"vllm_structured_outputs_regex": "x"}}, "trainer.vllm_structured_outputs_regex=x"),
    ],
    ids=["nucleus", "most likely", "least likely", "penalty", "guided"],
)
@pytest.mark.parametrize("engine", ["colocated", "server"])
def test_vllms_sampling_that_makes_the_gradient_vanish_is_refused(
    recipe: dict[str, Any], named: str, engine: str
) -> None:
    by_vllm = {**GIVEN, "rollouts": {"engine": engine}}
    with pytest.raises(ConfigError, match=rf"with `{named}` vLLM samples .* makes the gradient vanish \(trl#6789\)"):
        validated(GRPORun, {**by_vllm, "recipe": recipe})
    uncorrected = {**recipe.get("trainer", {}), "vllm_importance_sampling_correction": False}
    validated(GRPORun, {**by_vllm, "recipe": {**recipe, "trainer": uncorrected}})
    validated(GRPORun, {**GIVEN, "recipe": recipe})  # by transformers


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"checkpoint_every": 100}, "of every 100 steps are not there at every 50 steps: `--set checkpoint_every=50`"),
        ({"checkpoint_every": 20}, "those of every 20 steps are not there at every 50"),
        ({"checkpoint_every": 50, "trainer": {"save_strategy": "epoch"}}, "leave out `trainer.save_strategy`"),
    ],
    ids=["more evaluations than checkpoints", "at other steps", "by epoch"],
)
def test_a_model_that_may_be_the_best_has_a_checkpoint(recipe: dict[str, Any], message: str) -> None:
    evaluation = {"every": 50, "best_by": "mean_recall"}
    with pytest.raises(ConfigError, match=message):
        validated(SFTRun, {**GIVEN, "recipe": {**recipe, "evaluation": evaluation}})
    validated(SFTRun, {**GIVEN, "recipe": {**recipe, "evaluation": {"every": 50}}})
    validated(SFTRun, {**GIVEN, "recipe": {"checkpoint_every": 25, "evaluation": evaluation}})
