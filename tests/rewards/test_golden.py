"""On well-formed answers our rewards are the published ones.

The golden file holds 591 answers with what the published code returned for them; `_is_well_formed` is the definition of
the cases in which that code does what it means to. Beyond those, ours differs on purpose: see `test_faults.py`.
"""

import gzip
import hashlib
import json
import re
from collections import Counter
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.reward_names import PUBLISHED
from r1sgg_cli.rewards import REWARDS

from .conftest import PREDICATE_WEIGHTS, RANGES

FOLDER = Path(__file__).parent
TABLE = json.loads((FOLDER / "golden_similarity.json").read_text())["table"]
PAIRS = {frozenset((a, b)): value for a, b, value in TABLE}
OBJECT_ID = re.compile(r"[A-Za-z_-]([A-Za-z _-]*[A-Za-z_-])?\.\d+")


def golden_similarity(label_a: str, label_b: str) -> float:
    """The stand-in for spaCy that was injected into the published code: a table, and for other pairs a hash."""
    if label_a == label_b:
        return 1.0
    if not label_a or not label_b:
        return 0.0
    if frozenset((label_a, label_b)) in PAIRS:
        return float(PAIRS[frozenset((label_a, label_b))])
    text = "\x1f".join(sorted((label_a, label_b)))
    return int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16) / 2**32


def _load_cases() -> list[dict[str, Any]]:
    with gzip.open(FOLDER / "golden_rewards.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _answer(text: str) -> Any:
    """The answer as JSON; `None` where it is none, or where the published code reads something else."""
    plain = re.sub(r"<think>.*?</think>|</?answer>|```json|```", "", text, flags=re.DOTALL)
    unfenced = text.replace("```", " ").replace("json", " ")
    tagged = re.search(r"<answer>(.*?)</answer>", unfenced, re.DOTALL)
    published = tagged.group(1) if tagged else unfenced.partition("<answer>")[2] or unfenced
    try:
        answer = json.loads(plain)
        return answer if answer == json.loads(published) else None
    except ValueError:
        return None


def _is_well_formed(case: dict[str, Any]) -> bool:
    graph = _answer(case["completion"])
    if case["task_type"] != "sgg" or not isinstance(graph, dict):
        return False
    objects, relationships = graph.get("objects"), graph.get("relationships")
    if not objects or not isinstance(objects, list) or not isinstance(relationships, list):
        return False
    return (
        all(_is_object(item, *case["box_scale"]) for item in objects)
        and len({item["id"] for item in objects}) == len(objects)
        and all(_is_relationship(item, {item["id"] for item in objects}) for item in relationships)
        and not any(re.search("[-_]", item["id"]) for item in case["solution"]["objects"])
        and all(_is_ordered(*item["bbox"]) for item in case["solution"]["objects"])
    )


def _is_object(item: Any, width: float, height: float) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str) or not OBJECT_ID.fullmatch(item["id"]):
        return False
    box = item.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(type(side) in (int, float) for side in box):
        return False
    inside = min(box) >= 0 and box[2] <= width and box[3] <= height
    return all(map(isfinite, box)) and _is_ordered(*box) and inside


def _is_ordered(x1: float, y1: float, x2: float, y2: float) -> bool:
    return x1 <= x2 and y1 <= y2


def _is_relationship(item: Any, ids: set[str]) -> bool:
    if not isinstance(item, dict):
        return False
    parts = [item.get(key) for key in ("subject", "predicate", "object")]
    return all(isinstance(part, str) for part in parts) and parts[0] in ids and parts[2] in ids


def _has_one_right_edge_value(case: dict[str, Any]) -> bool:
    """The matching is unique, and no predicted pair carries two predicates, of which the published code forgets one."""
    pairs = Counter((link["subject"], link["object"]) for link in _answer(case["completion"])["relationships"])
    return case["assignment_unique"] is not False and max(pairs.values(), default=1) == 1


ALL_CASES = _load_cases()
CASES = [case for case in ALL_CASES if _is_well_formed(case)]


def test_all_well_formed_cases_are_compared() -> None:
    assert (len(CASES), len(ALL_CASES)) == (285, 591)


@pytest.mark.parametrize("name", PUBLISHED)
def test_reward_equals_the_published_one_on_well_formed_answers(name: str) -> None:
    cases = [case for case in CASES if name != "edge_reward" or _has_one_right_edge_value(case)]
    values = REWARDS[name](
        [case["completion"] for case in cases],
        objects=[json.dumps(case["solution"]["objects"]) for case in cases],
        relationships=[json.dumps(case["solution"]["relationships"]) for case in cases],
        image_wh=[(1, 1)] * len(cases),
        box_space_wh=[case["box_scale"] for case in cases],
        similarity=golden_similarity,
    )
    differing = []
    for case, value in zip(cases, values, strict=True):
        published = case["format_reward_patched"] if name == "format_reward" else case["rewards"][name]
        # the published code gives 0 where a reward does not apply (no true relationship); ours is None there
        if abs((0.0 if value is None else value) - published) > 1e-6:
            differing.append((case["case_id"], case["kind"], value, published))
    assert not differing


def test_reward_does_not_apply_only_without_true_relationships() -> None:
    for case in CASES:
        value = REWARDS["edge_hard_reward"](
            [case["completion"]],
            objects=[json.dumps(case["solution"]["objects"])],
            relationships=[json.dumps(case["solution"]["relationships"])],
            image_wh=[(1, 1)],
            box_space_wh=[case["box_scale"]],
        )[0]
        assert (value is None) == (not case["solution"]["relationships"])


@pytest.mark.parametrize("name", REWARDS)
def test_no_golden_text_raises_or_leaves_the_range(name: str) -> None:
    least, most = RANGES[name]
    values = REWARDS[name](
        [case["completion"] for case in ALL_CASES],
        objects=[json.dumps(case["solution"]["objects"]) for case in ALL_CASES],
        relationships=[json.dumps(case["solution"]["relationships"]) for case in ALL_CASES],
        image_wh=[(1, 1)] * len(ALL_CASES),
        box_space_wh=[case["box_scale"] for case in ALL_CASES],
        similarity=golden_similarity,
        predicate_weights=PREDICATE_WEIGHTS,
    )
    assert all(value is None or least <= value <= most + 1e-9 for value in values)


def test_carried_golden_values_are_the_shared_ones(shared_dir: Path) -> None:
    lines = (shared_dir / "golden" / "rewards.jsonl").read_text(encoding="utf-8").splitlines()
    for line, case in zip(lines, ALL_CASES, strict=True):
        shared = json.loads(line)
        assert json.dumps({key: shared[key] for key in case}) == json.dumps(case)
