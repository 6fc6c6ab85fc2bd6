"""Scenes to write about."""

import numpy as np

from r1sgg_cli.data.synthetic import sample_scene, scene_graph_of
from r1sgg_cli.scene_graph.graph import SceneGraph


def synthetic_graphs(number: int, seed: int = 0) -> list[SceneGraph]:
    """Complete graphs of synthetic scenes, in pixels of 100×100 images."""
    random = np.random.default_rng(seed)
    return [scene_graph_of(sample_scene(random, 3), 100) for _ in range(number)]
