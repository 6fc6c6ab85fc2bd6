"""Scenes to write about, and the sizes in which families see them."""

import numpy as np

from r1sgg_cli.data.synthetic import sample_scene, scene_graph_of
from r1sgg_cli.models.families import ModelType
from r1sgg_cli.models.images import ImageLimits, PixelLimits, SquareLimits, TileLimits
from r1sgg_cli.scene_graph.graph import SceneGraph


def synthetic_graphs(number: int, seed: int = 0) -> list[SceneGraph]:
    """Complete graphs of synthetic scenes, in pixels of 100×100 images."""
    random = np.random.default_rng(seed)
    return [scene_graph_of(sample_scene(random, 3), 100) for _ in range(number)]


def published_limits(model_type: ModelType) -> ImageLimits:
    """What decides the size of images for the published checkpoints of a family, at most 512·28·28 pixels for Qwen."""
    limits: dict[ModelType, ImageLimits] = {
        "internvl": TileLimits(side=448, min_tiles=1, max_tiles=12, processor_max_tiles=12, tokens_per_tile=256),
        "llava": SquareLimits(side=336, colour=(122, 116, 104)),
    }
    factor = 32 if model_type == "qwen3_vl" else 28
    return limits.get(model_type, PixelLimits(factor, min_pixels=56 * 56, max_pixels=512 * 28 * 28))
