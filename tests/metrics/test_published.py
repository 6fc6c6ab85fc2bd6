"""The published evaluator's numbers: the golden split to the last digit, and each of its faults by hand."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r1sgg_cli.errors import DataError
from r1sgg_cli.metrics.published import PublishedEvaluation, published_metrics
from r1sgg_cli.metrics.published_unseen import published_unseen
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet, graph_from_rows
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

from .conftest import GraphMaker

GOLDEN = Path(__file__).parent / "golden_published"
VG150 = load_vocabulary("vg150")
SMALL = Vocabulary(("man", "horse", "hat"), ("on", "near", "wears"))
EXACT = 1e-12


def _read(name: str) -> str:
    return gzip.decompress((GOLDEN / f"{name}.gz").read_bytes()).decode()


def _gathered_graph(row: dict[str, Any] | None, image_wh: tuple[int, int]) -> SceneGraph | None:
    if row is None or not row["labels"][0]:  # no file, or the dummy of an unusable answer
        return None
    ends = zip(row["graph"]["all_node_pairs"], row["relation_tuples"], strict=True)
    triplets = tuple(Triplet(subject, words[4], target) for (subject, target), words in ends)
    names = tuple(row["names_target"])
    ids = tuple(f"{name}.{number}" for number, name in enumerate(names, start=1))
    return SceneGraph(ids, names, np.array(row["boxes"]), triplets, image_wh)


class Golden:
    """200 images, what the published gather made of their answers, and what the published evaluator made of that."""

    def __init__(self) -> None:
        rows = [json.loads(line) for line in _read("dataset.jsonl").splitlines()]
        first = rows[0]["image_id"]
        rows.sort(key=lambda row: row["image_id"])
        gathered = json.loads(_read("gathered.json"))
        self.truths = [graph_from_rows(r["objects"], r["relationships"], (r["width"], r["height"])) for r in rows]
        self.predictions = [_gathered_graph(gathered.get(r["image_id"]), (r["width"], r["height"])) for r in rows]
        self.missing = [place for place, row in enumerate(rows) if row["image_id"] not in gathered]
        self.first_image = next(place for place, row in enumerate(rows) if row["image_id"] == first)

    def evaluated(self, predictions: list[SceneGraph | None], missing: list[int]) -> PublishedEvaluation:
        return published_metrics(
            self.truths, predictions, VG150, published_unseen(VG150), missing=missing, first_image=self.first_image
        )


def _numbers(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(_read(f"metrics_{name}.json"))
    return value


def _flat(evaluation: PublishedEvaluation) -> dict[str, float]:
    """By the names in the golden files."""
    whole = {"whole mean of ngR": "whole_mean_ngR"}
    names = {m.name: whole.get(m.name, m.name.replace(" ", "_")) for m in evaluation.metrics}
    boxes = {name: f"bbox_{name}" for name in names if name.startswith("A")}
    return {
        (boxes | {n: names[n] for n in names if n not in boxes})[m.name] + (f"@{m.k}" if m.k else ""): m.value
        for m in evaluation.metrics
    }


@pytest.fixture(scope="module")
def golden() -> Golden:
    return Golden()


@pytest.fixture(scope="module")
def evaluated(golden: Golden) -> PublishedEvaluation:
    return golden.evaluated(golden.predictions, golden.missing)


def test_every_number_is_the_published_one(evaluated: PublishedEvaluation) -> None:
    published = _numbers("stable_sort")["full_precision"]
    assert len(published) == 35
    assert _flat(evaluated) == pytest.approx(published, abs=EXACT)


def test_every_list_per_predicate_is_the_published_one(evaluated: PublishedEvaluation) -> None:
    published = _numbers("stable_sort")
    for ours, theirs in {
        "mR @ 20": "mR@20_per_predicate",
        "mR @ 100": "mR@100_per_predicate",
        "ng-mR @ 100": "ng-mR@100_per_predicate",
        "whole mean of ngR": "whole_ngR_per_predicate",
        "mean ngR per image": "mean_ngR_per_image_per_predicate",
    }.items():
        assert evaluated.per_predicate[ours] == pytest.approx(published[theirs], abs=EXACT), ours


def test_every_list_per_image_is_the_published_one(evaluated: PublishedEvaluation) -> None:
    published = _numbers("stable_sort")
    for name in ("R", "ng-R"):
        for cut, values in published["per_image"][name].items():
            ours = evaluated.per_image[f"{name} @ {cut}"]
            assert ours[~np.isnan(ours)].tolist() == pytest.approx(values, abs=EXACT)
    for name, num_images in published["n_images_averaged"].items():
        assert np.isfinite(evaluated.per_image[f"{name} @ 20"]).sum() == num_images


def test_every_ap_per_class_is_the_published_one(evaluated: PublishedEvaluation) -> None:
    published = _numbers("stable_sort")["bbox_AP_per_category_pct"]
    percent = {name: 100 * value for name, value in evaluated.ap_per_class.items()}
    assert percent == pytest.approx(published, abs=1e-10, nan_ok=True)


def test_perfect_answers_lose_what_they_lose_there(golden: Golden) -> None:
    perfect = golden.evaluated(list(golden.truths), [])
    assert _flat(perfect) == pytest.approx(_numbers("perfect_responses")["full_precision"], abs=EXACT)


def test_skipped_images_make_the_difference_to_the_whole_split(golden: Golden) -> None:
    """The evaluator was also fed with unusable answers in the place of those that it skips."""
    published = _numbers("all_images")["full_precision"]
    relating = [graph if graph is not None and graph.triplets else None for graph in golden.predictions]
    recalls = {name: value for name, value in published.items() if "bbox" not in name}
    boxes = {name: value for name, value in published.items() if name not in recalls}
    for predictions, meant in ((relating, recalls), (golden.predictions, boxes)):
        ours = _flat(golden.evaluated(predictions, []))
        assert {name: ours[name] for name in meant} == pytest.approx(meant, abs=EXACT)


def test_carried_golden_values_are_the_shared_ones(shared_dir: Path) -> None:
    for path in sorted(GOLDEN.glob("*.gz")):
        assert gzip.decompress(path.read_bytes()) == (shared_dir / "golden/eval/dev" / path.stem).read_bytes()


OBJECTS = [("man", 0), ("horse", 100), ("hat", 200)]


def _score(truths: list[SceneGraph], predictions: list[SceneGraph | None], **given: Any) -> PublishedEvaluation:
    return published_metrics(truths, predictions, SMALL, **given)


def test_an_image_that_relates_nothing_is_skipped_and_an_unreadable_one_is_not(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    silent = make_graph(OBJECTS)
    assert _score([truth, truth], [truth, silent]).value("R", 20) == 1
    assert _score([truth, truth], [truth, None]).value("R", 20) == 0.5
    assert _score([truth, truth], [truth, make_graph([])]).value("R", 20) == 0.5
    assert _score([truth, truth], [truth, None], missing=[1]).value("R", 20) == 1
    assert math.isnan(_score([truth], [silent]).value("R", 20))


def test_ngr_counts_every_image(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    evaluation = _score([truth] * 3, [truth, make_graph(OBJECTS), None], missing=[2])
    assert evaluation.value("ngR per image") == evaluation.value("whole ngR") == pytest.approx(1 / 3)


def test_predicates_that_were_not_written_count_in_ng_recall(make_graph: GraphMaker) -> None:
    truth, answer = make_graph(OBJECTS, [(0, "wears", 2)]), make_graph(OBJECTS, [(0, "on", 2)])
    evaluation = _score([truth], [answer])
    assert (evaluation.value("R", 20), evaluation.value("ng-R", 20)) == (0, 1)


def test_guesses_fill_the_places_behind_what_was_written_row_by_row(make_graph: GraphMaker) -> None:
    """18 rows, then two guesses of row 0 in the order of the vocabulary, then two of row 1."""
    rows = [(0, "on", 2), (1, "near", 2), *[(0, "on", 1)] * 16]
    truth = make_graph(OBJECTS, [(0, "near", 2), (0, "wears", 2), (1, "on", 2), (1, "wears", 2)])
    evaluation = _score([truth], [make_graph(OBJECTS, rows)])
    assert [evaluation.value("ng-R", cut) for cut in (20, 50)] == [0.5, 1]


def test_repeats_use_up_places(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    answer = make_graph(OBJECTS, [(0, "near", 1)] * 20 + [(0, "on", 1)])
    assert [_score([truth], [answer]).value("R", cut) for cut in (20, 50)] == [0, 1]


def test_there_is_no_graph_constraint_and_one_row_hits_several(make_graph: GraphMaker) -> None:
    twins = [("man", 0), ("man", 1), ("horse", 100)]
    truth = make_graph(twins, [(0, "on", 2), (1, "on", 2), (0, "on", 2)])
    answer = make_graph(twins, [(0, "near", 2), (0, "wears", 2), (0, "on", 2)])
    assert _score([truth], [answer]).value("R", 20) == 1


def test_the_extra_pixel_is_in_recall_and_not_in_ngr(make_graph: GraphMaker) -> None:
    """10 × 10 boxes, shifted by 3.5: IoU .481 without the pixel and .517 with it."""
    truth, answer = make_graph(OBJECTS, [(0, "on", 1)]), make_graph([("man", 3.5), ("horse", 100)], [(0, "on", 1)])
    evaluation = _score([truth], [answer])
    assert (evaluation.value("R", 20), evaluation.value("whole ngR")) == (1, 0)


def test_the_first_object_of_the_data_set_is_never_found(make_graph: GraphMaker) -> None:
    truths = [make_graph([("man", 0)]), make_graph([("man", 50), ("horse", 0)])]
    assert _score(truths, list(truths)).ap_per_class["man"] < 0.3
    by_other = _score(truths, list(truths), first_image=1)
    assert by_other.ap_per_class["man"] < 1
    assert by_other.ap_per_class["horse"] == 1
    assert _score(truths, [None, truths[1]], missing=[0]).value("AP") == 1  # its image does not count


def test_what_is_outside_the_vocabulary_is_left_out(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    answer = make_graph([("ghost", 0), *OBJECTS], [(0, "on", 1), (1, "haunts", 2), (1, "on", 2)])
    assert _score([truth], [answer]).value("R", 20) == 1
    ghosts = make_graph([("ghost", 0)], [(0, "on", 0)])
    assert _score([truth, truth], [answer, ghosts]).value("R", 20) == 0.5  # no object is left: unusable, 0


def test_zero_shot_recall_counts_images_with_an_unseen_triplet(make_graph: GraphMaker) -> None:
    plain, rare = make_graph(OBJECTS, [(0, "on", 1)]), make_graph(OBJECTS, [(0, "on", 1), (1, "wears", 2)])
    unseen = {("horse", "wears", "hat"), ("ghost", "on", "man")}
    evaluation = _score([plain, rare], [plain, plain], unseen_triplets=unseen)
    assert (evaluation.value("zR", 20), evaluation.value("R", 20)) == (0, 0.75)
    assert math.isnan(_score([plain], [plain], unseen_triplets=unseen).value("zR", 20))
    with pytest.raises(KeyError):
        _score([plain], [plain]).value("zR", 20)


def test_mean_recall_counts_absent_predicates_as_zero(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    evaluation = _score([truth], [truth])
    assert evaluation.value("mR", 20) == pytest.approx(1 / 3)
    assert evaluation.value("whole mean of ngR") == 1
    assert math.isnan(evaluation.per_predicate["mR @ 20"]["wears"])


def test_every_number_says_how_it_is_counted(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    counted = {m.name: m.counted for m in _score([truth] * 3, [truth, make_graph(OBJECTS), None]).metrics}
    assert "mean over 2 images (1 with relationships skipped" in counted["R"]
    assert "guesses count" in counted["ng-R"]
    assert (
        "COCO, precision at IoU 0.50:0.95, mean over 3 annotated classes, over the 3 of 3 images with an answer"
        in counted["AP"]
    )
    assert "recall at IoU 0.50:0.95, 10 boxes per class and image" in counted["AR10"]


def test_every_number_has_its_constraint_averaging_iou_and_denominator(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    content = _score([truth] * 3, [truth, make_graph(OBJECTS), None], unseen_triplets=set()).to_dict()["metrics"]
    by_name = {
        each["name"]: (each["constraint"], each["averaging"], each["iou"], each["denominator"]) for each in content
    }
    assert by_name["R"] == by_name["ng-R"] == ("none", "images", "≥ 0.5, x2 − x1 + 1", 2)
    assert by_name["mR"] == ("none", "images of predicates", "≥ 0.5, x2 − x1 + 1", 3)
    assert by_name["whole ngR"] == ("none", "pooled", "≥ 0.5, x2 − x1", 3)
    assert by_name["whole mean of ngR"] == ("none", "predicates", "≥ 0.5, x2 − x1", 1)
    assert by_name["ngR per image"] == ("none", "images", "≥ 0.5, x2 − x1", 3)
    assert by_name["AP"] == (None, "classes", "0.50:0.95, x2 − x1", 3)
    assert by_name["AP75"][2:] == ("≥ 0.75, x2 − x1", 3)
    assert by_name["APm"] == (None, "classes", "0.50:0.95, x2 − x1", 0)


def test_json_has_null_where_nothing_was_averaged(make_graph: GraphMaker) -> None:
    content = json.loads(json.dumps(_score([make_graph([])], [None]).to_dict(), allow_nan=False))
    assert content["metrics"][0].items() >= {"name": "R", "k": 20, "value": None}.items()
    assert content["per_predicate"]["mR @ 20"]["on"] is None
    assert content["ap_per_class"]["man"] is None


@pytest.mark.parametrize("num_images", [0, 2])
def test_a_split_without_anything_is_nan_and_no_crash(make_graph: GraphMaker, num_images: int) -> None:
    evaluation = _score([make_graph([])] * num_images, [None] * num_images, unseen_triplets=set())
    zero = {"mR", "ng-mR"}
    assert all(math.isnan(m.value) for m in evaluation.metrics if m.name not in zero)
    assert all(m.value == 0 for m in evaluation.metrics if m.name in zero)


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        pytest.param(Vocabulary((), ()), "closed vocabularies only", id="open vocabulary"),
        pytest.param(Vocabulary(("man",), ("on",)), "`horse` is annotated but not in the vocabulary", id="object"),
        pytest.param(Vocabulary(SMALL.objects, ("near",)), "`on` is annotated but not", id="predicate"),
    ],
)
def test_what_the_published_evaluator_cannot_score_is_refused(
    make_graph: GraphMaker, vocabulary: Vocabulary, message: str
) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    with pytest.raises(DataError, match=message):
        published_metrics([truth], [truth], vocabulary)


def test_graphs_of_other_images_are_refused(make_graph: GraphMaker) -> None:
    with pytest.raises(ValueError, match="2 ground truths, but 1 predictions"):
        _score([make_graph([])] * 2, [None])


def test_only_vg150_has_a_published_list_of_unseen_triplets() -> None:
    triplets = published_unseen(VG150)
    assert triplets is not None
    assert len(triplets) == 5971
    assert ("airplane", "above", "street") in triplets
    assert all(s in VG150.objects and p in VG150.predicates and o in VG150.objects for s, p, o in triplets)
    assert published_unseen(load_vocabulary("psg")) is None
