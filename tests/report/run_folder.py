"""The folder of a made-up GRPO run: everything that its page shows, and a run whose every text tries to be markup."""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from r1sgg_cli.config.yaml import dump_yaml
from r1sgg_cli.data.rollouts import ROLLOUTS_FILE, Rollout, RolloutAnswer, rollout_to_row
from r1sgg_cli.data.run_logs import append_row
from r1sgg_cli.scene_graph.graph import SceneGraph
from tests.report.conftest import draw, make_graph

TIME = {"data": 2.0, "sampling": 30.0, "sync": 3.0, "logprobs": 5.0, "reward": 0.5, "update": 40.0, "other": 0.25}
RECORD = {
    "stage": "grpo",
    "model": "Qwen/Qwen2-VL-2B-Instruct",
    "recipe": {"learning_rate": 6e-7, "rewards": {"format_reward": 1.0}, "lora": None},
    "versions": {"torch": "2.13.0"},
}
GRAPH = make_graph(
    ["red circle", "blue square", "green triangle"],
    [[5, 5, 40, 40], [50, 10, 90, 50], [20, 60, 60, 95]],
    [(0, "left of", 1), (0, "above", 2)],
)


def metric_row(step: int, num_steps: int, random: Random) -> dict[str, Any]:
    """What a step logs."""
    return {
        "step": step,
        "max_steps": num_steps,
        "time": 1_790_000_000.0 + 80 * step,
        "loss": random.gauss(0, 0.1),
        "grad_norm": random.random(),
        "reward": 1 + step / num_steps + random.gauss(0, 0.1),
        "rewards/format_reward/mean": 0.9,
        "rewards/edge_hard_reward/mean": step / num_steps,
        "frac_reward_zero_std": 0.1,
        "completions/mean_length": 200 + random.gauss(0, 9),
        "kl": None,
        "tokens_per_s_per_gpu": 1800.0,
        "mfu": 0.2,
        **{f"time/{name}": seconds for name, seconds in TIME.items()},
        **({"time/checkpoint": 60.0} if step % 10 == 0 else {}),
    }


def answers(text: str, random: Random) -> list[RolloutAnswer]:
    """Some with a graph, better and worse, and one without."""
    made = []
    for shift in (30, 2, 8):
        boxes = [[min(v + shift, 100) for v in box] for box in GRAPH.boxes_xyxy.tolist()]
        graph = make_graph(list(GRAPH.names), boxes, [(t.subject, t.predicate, t.object) for t in GRAPH.triplets])
        reward = 1 - shift / 30 + random.random() / 100
        rewards = {"format_reward": 1.0, "edge_hard_reward": reward}
        made.append(RolloutAnswer(text, 40 + shift, graph, None, {"prose": 1}, rewards, reward, reward - 0.5))
    unread = {"format_reward": 0.0, "edge_hard_reward": None}
    return [*made, RolloutAnswer(text, 96, None, "no_json", {}, unread, -0.5, -1.0)]


def make_run(
    folder: Path, num_steps: int = 40, *, kept: tuple[int, ...] = (1, 10, 20, 30, 40), text: str = '{"objects": []}'
) -> Path:
    """Write such a run."""
    random = Random(5)
    (folder / "rollouts").mkdir(parents=True)
    save_record(folder, RECORD)
    (folder / "launch.yaml").write_text(dump_yaml({"preset": "a100-16x", "run": {}}), encoding="utf-8")
    rows = [metric_row(step, num_steps, random) for step in range(1, num_steps + 1)]
    evaluated = [
        {**{key: row[key] for key in ("step", "max_steps", "time")}, "eval_triplet_recall": row["step"] / 100}
        for row in rows[9::10]
    ]
    lines = sorted([*rows, *evaluated], key=lambda row: row["step"])
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
    append_row(
        {"step": 20, "kind": "clipped", "message": f"31 % of answers are cut off {text}"}, folder / "warnings.jsonl"
    )
    for step in kept:
        keep(folder, step, GRAPH, answers(text, random), image_id=f"{text} {step}")
    return folder


def save_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write what the run was made with."""
    (folder / "run.yaml").write_text(dump_yaml(dict(record)), encoding="utf-8")


def keep(folder: Path, step: int, truth: SceneGraph, given: list[RolloutAnswer], image_id: str) -> Rollout:
    """Add a group to what the run keeps."""
    image = f"rollouts/{step:04x}.jpg"
    draw(truth).save(folder / image, "JPEG")
    rollout = Rollout(step, image_id, image, (100, 100), "sgg", truth, tuple(given), (1000, 1000))
    append_row(rollout_to_row(rollout), folder / ROLLOUTS_FILE)
    return rollout
