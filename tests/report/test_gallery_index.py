"""The index of a report's images: labels by number, each with its verdict, once."""

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.report.gallery_index import GalleryIndex
from r1sgg_cli.report.verdicts import judge
from r1sgg_cli.scene_graph.graph import SceneGraph
from tests.report.conftest import make_graph

TRUTH = make_graph(["man", "hat"], [[0, 0, 30, 30], [40, 40, 70, 70]], [(0, "wearing", 1), (0, "near", 1)])


def image_of(prediction: SceneGraph | None, failure: str | None = None) -> ImagePrediction:
    return ImagePrediction("a", (100, 100), TRUTH, prediction, failure, {"prose": 0}, "")


def read(index: GalleryIndex) -> dict[str, set[str]]:
    """The labels of the first image, spelled out again."""
    content = index.to_json()
    names, predicates, verdicts = (content[key] for key in ("objects", "predicates", "verdicts"))
    image = content["images"][0]
    return {
        "objects": {f"{names[name]} {verdicts[v]}" for name, v in image["objects"]},
        "triplets": {f"{names[s]} {predicates[p]} {names[o]} {verdicts[v]}" for s, p, o, v in image["triplets"]},
    }


def test_labels_are_found_with_their_verdicts_on_either_side() -> None:
    answer = make_graph(["man", "cup"], [[0, 0, 30, 30], [40, 40, 70, 70]], [(0, "wearing", 1)])
    image = image_of(answer)
    index = GalleryIndex()
    index.add(7, "worst", [image], [judge(image)])
    assert read(index) == {
        "objects": {"man matched", "hat missed", "cup wrong"},
        "triplets": {"man wearing cup wrong", "man wearing hat missed", "man near hat missed"},
    }
    entry = index.to_json()["images"][0]
    assert (entry["number"], entry["id"], entry["why"], entry["repaired"]) == (7, "a", "worst", False)
    assert (entry["annotated"], entry["matched"], entry["wrong"], entry["failure"]) == (2, [0], [1], [""])


def test_two_answers_are_counted_each_and_their_labels_once() -> None:
    images = [image_of(TRUTH), image_of(None, "no_json")]
    index = GalleryIndex()
    index.add(0, "sample", images, [judge(image) for image in images])
    entry = index.to_json()["images"][0]
    assert (entry["matched"], entry["failure"]) == ([2, 0], ["", "no_json"])
    assert len(entry["triplets"]) == len(set(entry["triplets"])) == 4
