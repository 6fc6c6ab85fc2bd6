"""Scene graphs in one line, and the golden split."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows

from .golden_split import GoldenSplit

GraphMaker = Callable[..., SceneGraph]


@pytest.fixture
def make_graph() -> GraphMaker:
    """`make_graph([("man", 0), …], [(0, "on", 1), …])`: each object a 10 × 10 box whose left edge is the number."""

    def make(objects: Sequence[tuple[str, float]], triplets: Sequence[tuple[int, str, int]] = ()) -> SceneGraph:
        ids = [f"{name}.{number}" for number, (name, _) in enumerate(objects, start=1)]
        rows = [{"id": i, "bbox": [left, 0, left + 10, 10]} for i, (_, left) in zip(ids, objects, strict=True)]
        relationships = [{"subject": ids[s], "predicate": p, "object": ids[o]} for s, p, o in triplets]
        return graph_from_rows(rows, relationships, (1000, 1000))

    return make


@pytest.fixture(scope="session")
def golden(shared_dir: Path) -> GoldenSplit:
    """The golden split."""
    return GoldenSplit(shared_dir / "golden" / "eval" / "dev")
