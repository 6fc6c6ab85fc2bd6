"""What every page says of one image: its counts, what its photo shows, why it has no graph, what was noted."""

from r1sgg_cli.counted import counted
from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.report.overlay import MAX_BOXES, object_labels
from r1sgg_cli.report.verdicts import Verdicts
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.listing import CAUSES

MAX_ANSWER_LENGTH = 4000
"""Characters of a raw answer."""


def annotated_summary(num_triplets: int, num_objects: int) -> str:
    """How much is annotated, such as `3 relationships · 1 object`."""
    return f"{counted(num_triplets, 'relationship')} · {counted(num_objects, 'object')}"


def answer_summary(verdicts: Verdicts) -> str:
    """How much of what is annotated was found, such as `2/3 relationships · 0/1 object`."""
    triplets = counted(len(verdicts.annotated_triplets), "relationship")
    objects = counted(len(verdicts.annotated_objects), "object")
    return f"{verdicts.num_matched}/{triplets} · {len(verdicts.partner)}/{objects}"


def alt_of(heading: str, image: ImagePrediction, graph: SceneGraph | None) -> str:
    """What a panel's photo shows, for those who do not see it; `graph` is None where none could be read."""
    if graph is None:
        return f"{heading}: no graph for image {image.image_id}"
    names = ", ".join(object_labels(graph)[:MAX_BOXES]) or "none"
    return f"{heading}: boxes over image {image.image_id}: {names}"


def failure_of(image: ImagePrediction) -> str:
    """Why an image has no graph, the kind in one word, then in a phrase; empty where it has one."""
    if image.prediction is not None:
        return ""
    kind = image.failure or "failed"
    return f"{kind}: {CAUSES.get(kind, 'no graph could be read')}"


def defects_of(image: ImagePrediction) -> str:
    """What was noted while an answer was read, each kind with its count."""
    return ", ".join(f"{kind.replace('_', ' ')} × {count}" for kind, count in image.defects.items() if count)


def shortened_answer(answer: str) -> str:
    """A raw answer, cut where it is endless, which it then says."""
    cut = len(answer) - MAX_ANSWER_LENGTH
    return answer if cut <= 0 else f"{answer[:MAX_ANSWER_LENGTH]}\n… and {cut} more characters"
