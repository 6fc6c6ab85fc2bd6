"""What the page's filters know of each image: its labels with their verdicts, and how much of it is right."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.report.verdicts import Verdict, Verdicts
from r1sgg_cli.scene_graph.graph import SceneGraph

VERDICTS: tuple[Verdict, ...] = ("matched", "missed", "wrong")
"""In the index a verdict is its place here."""


class GalleryIndex:
    """The index of a report's images, added one by one; labels are written once and referred to by number."""

    def __init__(self) -> None:
        self.images: list[dict[str, Any]] = []
        self._objects: dict[str, int] = {}
        self._predicates: dict[str, int] = {}

    def add(self, number: int, why: str, answers: Sequence[ImagePrediction], judged: Sequence[Verdicts]) -> None:
        """An image under its number, with the answers of one run or of two and the verdicts on each."""
        objects: list[tuple[int, int]] = []
        triplets: list[tuple[int, int, int, int]] = []
        for image, verdicts in zip(answers, judged, strict=True):
            truth = image.ground_truth
            missed = {i: v for i, v in verdicts.annotated_triplets.items() if v == "missed"}
            lost = {i: v for i, v in verdicts.annotated_objects.items() if v == "missed"}
            objects += self._objects_of(truth, lost)
            triplets += self._triplets_of(truth, missed)
            if image.prediction is not None:
                objects += self._objects_of(image.prediction, verdicts.predicted_objects)
                triplets += self._triplets_of(image.prediction, verdicts.predicted_triplets)
        first = answers[0]
        self.images.append(
            {
                "number": number,
                "id": first.image_id,
                "why": why,
                "annotated": len(judged[0].annotated_triplets),
                "matched": [verdicts.num_matched for verdicts in judged],
                "wrong": [Counter(verdicts.predicted_triplets.values())["wrong"] for verdicts in judged],
                "failure": [image.failure or "" for image in answers],
                "repaired": any(any(image.defects.values()) for image in answers),
                "objects": list(dict.fromkeys(objects)),
                "triplets": list(dict.fromkeys(triplets)),
            }
        )

    def to_json(self) -> dict[str, Any]:
        """The whole index as JSON values; an object is `[name, verdict]`, a triplet `[subject, predicate, …]`."""
        return {
            "verdicts": list(VERDICTS),
            "objects": list(self._objects),
            "predicates": list(self._predicates),
            "images": self.images,
        }

    def _objects_of(self, graph: SceneGraph, verdicts: Mapping[int, Verdict]) -> Iterator[tuple[int, int]]:
        for i, verdict in verdicts.items():
            yield _number(self._objects, graph.names[i]), VERDICTS.index(verdict)

    def _triplets_of(self, graph: SceneGraph, verdicts: Mapping[int, Verdict]) -> Iterator[tuple[int, int, int, int]]:
        for i, verdict in verdicts.items():
            triplet = graph.triplets[i]
            subject, object_ = (_number(self._objects, graph.names[end]) for end in (triplet.subject, triplet.object))
            yield subject, _number(self._predicates, triplet.predicate), object_, VERDICTS.index(verdict)


def _number(labels: dict[str, int], label: str) -> int:
    return labels.setdefault(label, len(labels))
