"""A stage carries the numbers that `r1sgg eval` prints."""

from r1sgg_cli.metrics.evaluation import Background, evaluate
from r1sgg_cli.report.stages import Stage, evaluate_predictions, evaluated_stage


def test_eval_and_the_report_score_predictions_in_the_same_way(stages: list[Stage]) -> None:
    predictions = stages[1].predictions
    truths, answers = ([getattr(i, side) for i in predictions.images] for side in ("ground_truth", "prediction"))
    background = Background([i.failure for i in predictions.images], [i.defects for i in predictions.images])
    expected = evaluate(truths, answers, predictions.vocabulary.predicates, background=background).to_dict()
    assert evaluate_predictions(predictions).to_dict() == expected
    assert evaluated_stage("after SFT", predictions).evaluation.to_dict() == expected
