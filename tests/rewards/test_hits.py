"""What rewards and metrics count as found is the same, though each counts in its own way."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings

from r1sgg_cli.metrics.objects import match_objects
from r1sgg_cli.metrics.triplets import match_triplets
from r1sgg_cli.rewards.hits import num_one_to_one, object_hits, relationship_hits
from r1sgg_cli.scene_graph.graph import graph_from_rows

from .test_properties import SIZE, graphs


@settings(max_examples=60, deadline=None)
@given(answer=graphs(), truth=graphs())
def test_rewards_find_what_metrics_find(answer: Any, truth: Any) -> None:
    predicted, annotated = (graph_from_rows(g["objects"], g["relationships"], (SIZE, SIZE)) for g in (answer, truth))
    assert num_one_to_one(object_hits(predicted, annotated)) == len(match_objects(annotated, predicted))
    once = [replace(graph, triplets=tuple(dict.fromkeys(graph.triplets))) for graph in (predicted, annotated)]
    assert num_one_to_one(relationship_hits(*once)) == len(match_triplets(annotated, predicted))
