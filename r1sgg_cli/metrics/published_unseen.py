"""The triplets of VG150 that its training split does not show, as the published evaluators count zero-shot recall.

The 5,971 triplets are those of `zeroshot_triplet.pytorch` of Scene-Graph-Benchmark.pytorch (Tang 2020, MIT licence), by
name: predicate → subject → objects.
"""

import json
from importlib import resources

from r1sgg_cli.scene_graph.training_names import NamedTriplet
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary


def published_unseen(vocabulary: Vocabulary) -> frozenset[NamedTriplet] | None:
    """The list for VG150, None for any other vocabulary, of which the published evaluator has none."""
    if vocabulary != load_vocabulary("vg150"):
        return None
    text = (resources.files(__package__) / "vg150_unseen.json").read_text(encoding="utf-8")
    return frozenset(
        (subject, predicate, name)
        for predicate, subjects in json.loads(text).items()
        for subject, names in subjects.items()
        for name in names
    )
