"""200 images as the published gather step left them, and what the published evaluator made of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from r1sgg_cli.metrics.evaluation import evaluate
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet, graph_from_rows


class GoldenSplit:
    """The split, the published numbers and ours."""

    def __init__(self, folder: Path) -> None:
        """Read `golden/eval/dev`."""
        lines = (folder / "dataset.jsonl").read_text().splitlines()
        rows = sorted((json.loads(line) for line in lines), key=lambda row: row["image_id"])
        gathered = json.loads((folder / "gathered.json").read_text())
        self.metrics = json.loads((folder / "metrics_all_images.json").read_text())
        self.boxes = json.loads((folder / "bbox_clean.json").read_text())["all_images"]
        self.truths = [
            graph_from_rows(row["objects"], row["relationships"], (row["width"], row["height"])) for row in rows
        ]
        self.predictions = [_published_graph(gathered.get(row["image_id"]), row) for row in rows]
        self.evaluation = evaluate(self.truths, self.predictions, sorted(self.metrics["mR@100_per_predicate"]))


def _published_graph(gathered: dict[str, Any] | None, row: dict[str, Any]) -> SceneGraph | None:
    if gathered is None or gathered["labels"] == [0]:  # no file, or the dummy of an unusable answer
        return None
    pairs, tuples = gathered["graph"]["all_node_pairs"], gathered["relation_tuples"]
    triplets = tuple(Triplet(s, words[4], o) for (s, o), words in zip(pairs, tuples, strict=True))
    names = tuple(gathered["names_target"])
    ids = tuple(f"{name}.{number}" for number, name in enumerate(names, start=1))
    return SceneGraph(ids, names, np.array(gathered["boxes"]), triplets, (row["width"], row["height"]))
