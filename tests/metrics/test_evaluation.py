"""All numbers of a split: small cases by hand, and the published evaluator's outputs."""

import json
import math

import numpy as np
import pytest

from r1sgg_cli.metrics.evaluation import CUTS, Evaluation, evaluate
from r1sgg_cli.metrics.ranking import GraphScores
from r1sgg_cli.scene_graph.boxes import box_iou
from r1sgg_cli.scene_graph.graph import SceneGraph

from .conftest import GraphMaker
from .golden_split import GoldenSplit

OBJECTS = [("man", 0), ("horse", 100), ("hat", 200)]
TRIPLETS = [(0, "on", 1), (2, "on", 0), (0, "wears", 2)]


@pytest.fixture
def three_images(make_graph: GraphMaker) -> Evaluation:
    """One image answered in part, one that failed, one without annotated relationships."""
    truths = [make_graph(OBJECTS, TRIPLETS), make_graph(OBJECTS[:2], [(0, "on", 1)]), make_graph(OBJECTS[:1])]
    answer = make_graph(OBJECTS[:2], [(0, "on", 1), (0, "on", 1), (0, "near", 1)])
    return evaluate(truths, [answer, None, make_graph(OBJECTS[:1])], ["on", "wears", "near", "under"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("failure_rate", 1 / 3, id="failures are divided by all images"),
        pytest.param(
            "triplet_recall", (1 / 3 + 0) / 2, id="a failed image recalls nothing, one without triplets is out"
        ),
        pytest.param("mean_recall", ((1 / 2 + 0) / 2 + 0) / 2, id="per image, then per annotated predicate"),
        pytest.param("mean_recall_vocabulary", ((1 / 2 + 0) / 2 + 0) / 4, id="absent predicates are zero"),
        pytest.param("triplet_recall_pooled", 1 / 4, id="pooled recall"),
        pytest.param("triplet_precision", 1 / 2, id="the exact repeat is no second prediction"),
        pytest.param("triplet_f1", 2 / (2 + 4), id="pooled F1"),
        pytest.param("triplet_precision_per_image", 1 / 2, id="only images that predict one"),
        pytest.param("triplet_f1_per_image", (2 / 5 + 0) / 2, id="F1 per image"),
        pytest.param("object_recall", 3 / 6, id="object recall"),
        pytest.param("object_precision", 1.0, id="object precision"),
        pytest.param("objects_per_image", 3 / 3, id="objects per image"),
        pytest.param("relationships_per_image", 2 / 3, id="relationships per image"),
        pytest.param("annotated_relationships_per_image", 4 / 3, id="annotated relationships per image"),
    ],
)
def test_three_images_by_hand(three_images: Evaluation, name: str, value: float) -> None:
    assert three_images.value(name) == pytest.approx(value)


def test_values_per_image_and_per_predicate_go_with_them(three_images: Evaluation) -> None:
    np.testing.assert_allclose(three_images.triplet_recall_per_image, [1 / 3, 0, np.nan])
    assert three_images.recall_per_predicate == pytest.approx(
        {"on": 0.25, "wears": 0.0, "near": math.nan, "under": math.nan}, nan_ok=True
    )


def test_json_has_null_where_nothing_was_averaged(three_images: Evaluation) -> None:
    content = json.loads(json.dumps(three_images.to_dict(), allow_nan=False))
    assert content["triplet_recall_per_image"][2] is None
    assert content["recall_per_predicate"]["near"] is None
    assert all(metric["counted"] for metric in content["metrics"])


def test_json_says_how_its_intervals_were_made(make_graph: GraphMaker) -> None:
    graph = make_graph(OBJECTS, TRIPLETS)
    resampled = evaluate([graph] * 3, [graph] * 3, ["on"], num_resamples=100).to_dict()
    assert "95 %: resamples of the images (numpy's default generator, seed 0)" in resampled["intervals"]
    assert evaluate([graph], [graph], ["on"]).to_dict()["intervals"] is None


def test_a_perfect_answer_scores_one_everywhere_with_repeats_in_the_truth(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [*TRIPLETS, TRIPLETS[0]])
    evaluation = evaluate([truth], [truth], ["on", "wears"])
    shares = [m.value for m in evaluation.metrics if m.name != "failure_rate" and not m.name.endswith("s_per_image")]
    assert shares == pytest.approx([1.0] * len(shares))


def test_relationships_after_the_first_k_do_not_count(make_graph: GraphMaker) -> None:
    wrong = [(0, f"wrong {i}", 1) for i in range(49)]
    evaluation = evaluate([make_graph(OBJECTS, [(0, "on", 1)])], [make_graph(OBJECTS, [*wrong, (0, "on", 1)])], [])
    assert [evaluation.value("triplet_recall", cut) for cut in (None, 20, 50, 100, "annotated")] == [1, 0, 1, 1, 0]


def test_exact_repeats_use_up_no_rank(make_graph: GraphMaker) -> None:
    answer = make_graph(OBJECTS, [(0, "near", 1)] * 20 + [(0, "on", 1)])
    assert evaluate([make_graph(OBJECTS, [(0, "on", 1)])], [answer], []).value("triplet_recall", 20) == 1


def test_there_is_no_graph_constraint(make_graph: GraphMaker) -> None:
    answer = make_graph(OBJECTS, [(0, "near", 1), (0, "by", 1), (0, "on", 1)])
    assert evaluate([make_graph(OBJECTS, [(0, "on", 1)])], [answer], []).value("triplet_recall", 20) == 1


def test_an_answer_without_relationships_counts_as_zero(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    assert evaluate([truth, truth], [truth, make_graph(OBJECTS)], []).value("triplet_recall") == 0.5


def test_one_wrong_predicate_is_not_padded_into_a_hit(make_graph: GraphMaker) -> None:
    truth, answer = make_graph(OBJECTS, [(0, "on", 1)]), make_graph(OBJECTS, [(0, "near", 1)])
    assert [evaluate([truth], [answer], ["on", "near"]).value("triplet_recall", cut) for cut in CUTS] == [0] * len(CUTS)


def test_an_open_vocabulary_has_no_mean_over_it(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, TRIPLETS)
    evaluation = evaluate([truth], [truth], [])
    assert evaluation.value("mean_recall") == 1
    with pytest.raises(KeyError):
        evaluation.value("mean_recall_vocabulary")


@pytest.mark.parametrize("num_images", [0, 2])
def test_nothing_annotated_and_nothing_predicted_is_nan_and_no_crash(make_graph: GraphMaker, num_images: int) -> None:
    evaluation = evaluate([make_graph([])] * num_images, [None] * num_images, ["on"])
    assert math.isnan(evaluation.value("triplet_recall"))
    assert math.isnan(evaluation.value("box_ap50"))
    assert math.isnan(evaluation.value("triplet_precision"))


def test_the_first_relationships_are_those_that_score_highest(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    wrong = [(0, f"wrong {i}", 1) for i in range(20)]
    answer = make_graph(OBJECTS, [*wrong, (0, "on", 1)])
    scores = [GraphScores(triplets=[0.1] * 20 + [0.2])]
    assert evaluate([truth], [answer], []).value("triplet_recall", 20) == 0
    evaluation = evaluate([truth], [answer], [], scores)
    assert evaluation.value("triplet_recall", 20) == 1
    assert "the first K relationships of an answer, by their scores;" in evaluation.to_dict()["protocol"]


def test_equal_scores_leave_the_order_of_the_answer(make_graph: GraphMaker) -> None:
    answer = make_graph(OBJECTS, [(0, "on", 1), *[(0, f"wrong {i}", 1) for i in range(20)]])
    scores = [GraphScores(triplets=[0.5] * 21)]
    assert evaluate([make_graph(OBJECTS, [(0, "on", 1)])], [answer], [], scores).value("triplet_recall", 20) == 1


def test_a_repeated_relationship_ranks_by_its_first_score(make_graph: GraphMaker) -> None:
    """A model writes again what it has just written with ever more confidence."""
    wrong = [(0, f"wrong {i}", 1) for i in range(20)]
    answer = make_graph(OBJECTS, [(0, "on", 1), *wrong, (0, "on", 1)])
    scores = [GraphScores(triplets=[0.1, *[0.5] * 20, 0.9])]
    assert evaluate([make_graph(OBJECTS, [(0, "on", 1)])], [answer], [], scores).value("triplet_recall", 20) == 0


def test_box_ap_ranks_by_scores(make_graph: GraphMaker) -> None:
    truth, answer = make_graph([("man", 0)]), make_graph([("man", 500), ("man", 0)])
    assert evaluate([truth], [answer], []).value("box_ap50") == pytest.approx(0.5)
    scored = evaluate([truth], [answer], [], [GraphScores([0.2, 0.9])])
    assert scored.value("box_ap50") == pytest.approx(1)
    assert "ranked by their scores" in next(m.counted for m in scored.metrics if m.name == "box_ap")


def test_graphs_of_other_images_are_refused(make_graph: GraphMaker) -> None:
    with pytest.raises(ValueError, match="2 ground truths, but 1 predictions"):
        evaluate([make_graph([])] * 2, [None], [])


def _recall_with_shared_hits(truth: SceneGraph, prediction: SceneGraph | None) -> float:
    """The published "ngR per image" of one image: a predicted triplet may hit several annotated ones."""
    if not truth.triplets:
        return math.nan
    if prediction is None:
        return 0.0
    near = box_iou(truth.boxes_xyxy, prediction.boxes_xyxy) >= 0.5
    near &= np.array(truth.names)[:, None] == np.array(prediction.names)[None, :]
    hits = [
        any(
            p.predicate == a.predicate and near[a.subject, p.subject] and near[a.object, p.object]
            for p in prediction.triplets
        )
        for a in truth.triplets
    ]
    return float(np.mean(hits))


def test_recall_is_the_published_one_but_for_images_whose_truth_repeats_itself(golden: GoldenSplit) -> None:
    graphs = list(zip(golden.truths, golden.predictions, strict=True))
    shared = np.array([_recall_with_shared_hits(truth, prediction) for truth, prediction in graphs])
    assert np.nanmean(shared) == pytest.approx(golden.metrics["full_precision"]["ngR_per_image"], abs=1e-12)
    ours = golden.evaluation.triplet_recall_per_image
    distinct = np.array([len(set(truth.triplets)) == len(truth.triplets) for truth in golden.truths])
    np.testing.assert_allclose(ours[distinct], shared[distinct])
    assert np.flatnonzero(~np.isclose(ours, shared, equal_nan=True)).tolist() == np.flatnonzero(~distinct).tolist()


def test_mean_recall_is_the_published_one_but_for_predicates_of_repeated_truth(golden: GoldenSplit) -> None:
    published = golden.metrics["mean_ngR_per_image_per_predicate"]  # rounded there to four digits
    ours = golden.evaluation.recall_per_predicate
    repeated = {t.predicate for g in golden.truths for t in g.triplets if g.triplets.count(t) > 1}
    kept = [name for name in published if name not in repeated]
    assert len(kept) >= 46
    assert [ours[name] for name in kept] == pytest.approx([published[name] for name in kept], abs=5.1e-5)
