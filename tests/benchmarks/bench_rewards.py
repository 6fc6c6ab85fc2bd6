"""CPU time of the rewards on one step of answers, beside the published code's.

Run `python -m tests.benchmarks.bench_rewards`.

Seeded synthetic answers: 32 images × 8 completions, 16 objects and 16 relationships each, jittered from the ground
truth so that matching has work to do. Every repetition meets new texts, so that no cache is warm: the figure is what a
training step pays. The published figures were taken on such answers with its similarity replaced by a stub. The last
line, decoding the same JSON and nothing else, tells how fast the machine is at the moment.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.rewards.batch import read_answer
from r1sgg_cli.rewards.long_tail import weights_by_rarity
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

NUM_IMAGES, NUM_GENERATIONS, NUM_OBJECTS, NUM_RELATIONSHIPS = 32, 8, 16, 16
NUM_ANSWERS = NUM_IMAGES * NUM_GENERATIONS
REPETITIONS = 15
SIZE = 1000
PENALTIES = ("repetition_penalty_reward", "length_penalty_reward")
SETS: dict[str, tuple[tuple[str, ...], float | None, float | None]] = {  # names, published ms a completion, the target
    "default four": (("format_reward", "node_acc_reward", "node_box_reward", "edge_reward"), 2.0, 0.25),
    "hard recall + format": (("format_reward", "edge_hard_reward"), 0.30, 0.08),
    "relaxed recall + format": (("format_reward", "edge_hard_relax_reward"), 0.90, None),
    "F1 of both + format": (("format_reward", "object_f1_reward", "edge_f1_reward"), None, None),
    "mean recall + format": (("format_reward", "mean_recall_reward"), None, None),
    "weighted recall + format": (("format_reward", "weighted_recall_reward"), None, None),
    "coverage + format": (("format_reward", "cluster_coverage_reward"), None, None),
    "penalties + format": (("format_reward", *PENALTIES), None, None),
    "all thirteen": (tuple(REWARDS), None, None),
}
"""Later rewards stand beside the published ones with what they add to reading the answer."""
WEIGHTS = weights_by_rarity({name: 1000 // rank for rank, name in enumerate(load_vocabulary("vg150").predicates, 1)})


def batches() -> Iterator[dict[str, Any]]:
    """Keyword arguments of a reward function, for ever new answers."""
    random_state = random.Random(20_240_501)
    vocabulary = load_vocabulary("vg150")
    while True:
        batch: dict[str, list[Any]] = {key: [] for key in ("completions", "objects", "relationships")}
        for _ in range(NUM_IMAGES):
            objects, relationships = _graph(random_state, vocabulary)
            for _ in range(NUM_GENERATIONS):
                answer = _jittered(random_state, vocabulary, objects, relationships)
                text = f"<think>\nI look around.\n</think>\n<answer>\n{json.dumps(answer)}\n</answer>"
                batch["completions"].append([{"role": "assistant", "content": text}])
                batch["objects"].append(json.dumps(objects))
                batch["relationships"].append(json.dumps(relationships))
        space = [[SIZE, SIZE]] * NUM_ANSWERS
        yield batch | {"image_wh": space, "box_space_wh": space}


def _graph(random_state: random.Random, vocabulary: Vocabulary) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    names = random_state.choices(vocabulary.objects[:40], k=NUM_OBJECTS)
    objects: list[dict[str, Any]] = [
        {"id": f"{name}.{i}", "bbox": _box(random_state)} for i, name in enumerate(names, 1)
    ]
    relationships: list[dict[str, str]] = []
    for _ in range(NUM_RELATIONSHIPS):
        subject, target = random_state.sample(objects, 2)
        predicate = random_state.choice(vocabulary.predicates)
        relationships.append({"subject": subject["id"], "predicate": predicate, "object": target["id"]})
    return objects, relationships


def _jittered(
    random_state: random.Random,
    vocabulary: Vocabulary,
    objects: list[dict[str, Any]],
    relationships: list[dict[str, str]],
) -> dict[str, Any]:
    """A plausible answer: boxes a little off, one name and one predicate in five another."""
    new_id: dict[str, str] = {}
    answer_objects = []
    for number, item in enumerate(random_state.sample(objects, len(objects)), 1):
        name = item["id"].split(".")[0] if random_state.random() < 0.8 else random_state.choice(vocabulary.objects)
        new_id[item["id"]] = f"{name}.{number}"
        x1, y1, x2, y2 = (min(max(side + random_state.randint(-40, 40), 0), SIZE) for side in item["bbox"])
        box = [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]
        answer_objects.append({"id": new_id[item["id"]], "bbox": box})
    answer_relationships = [
        {
            "subject": new_id[link["subject"]],
            "predicate": link["predicate"]
            if random_state.random() < 0.8
            else random_state.choice(vocabulary.predicates),
            "object": new_id[link["object"]],
        }
        for link in relationships
    ]
    return {"objects": answer_objects, "relationships": answer_relationships}


def _box(random_state: random.Random) -> list[int]:
    (x1, x2), (y1, y2) = (sorted(random_state.sample(range(SIZE + 1), 2)) for _ in range(2))
    return [x1, y1, x2, y2]


def main() -> None:
    """Print one line per set of rewards."""
    source = batches()
    print(f"{NUM_ANSWERS} completions, {NUM_OBJECTS} objects, {NUM_RELATIONSHIPS} relationships; ms CPU a completion")
    print(f"{'rewards':<26}{'first':>8}{'best':>8}{'published':>11}{'target':>8}{'parsed':>8}")
    for title, (names, published, target) in SETS.items():
        parsed = read_answer.cache_info().misses
        figures = [_seconds(partial(_reward_all, names, next(source))) for _ in range(REPETITIONS)]
        parsed = (read_answer.cache_info().misses - parsed) // REPETITIONS
        goal = "" if target is None else f"{target:.2f}"
        first, best = (seconds / NUM_ANSWERS * 1000 for seconds in (figures[0], min(figures)))
        beside = "" if published is None else f"{published:.2f}"
        print(f"{title:<26}{first:>8.3f}{best:>8.3f}{beside:>11}{goal:>8}{parsed:>8}")
    best = min(_seconds(partial(_decode_all, next(source))) for _ in range(REPETITIONS)) / NUM_ANSWERS * 1000
    print(f"{'json.loads alone':<34}{best:>8.3f}")


def _seconds(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _reward_all(names: Sequence[str], batch: dict[str, Any]) -> None:
    for name in names:
        REWARDS[name](**batch, predicate_weights=WEIGHTS)


def _decode_all(batch: dict[str, Any]) -> None:
    for completion in batch["completions"]:
        text = completion[0]["content"]
        json.loads(text[text.index("{") : text.rindex("}") + 1])


if __name__ == "__main__":
    main()
