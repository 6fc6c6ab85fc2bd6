"""Numbers of objects: box AP and AR, recall, precision and F1 of hits."""

from collections.abc import Mapping

import numpy as np

from r1sgg_cli.metrics.answer_numbers import per_image
from r1sgg_cli.metrics.detection import BoxDetection
from r1sgg_cli.metrics.flat import FlatGraphs, Integers, Mask
from r1sgg_cli.metrics.number import IntervalKind, Number
from r1sgg_cli.metrics.ranking import Ranking
from r1sgg_cli.metrics.statistic import ratio


def box_numbers(boxes: BoxDetection, ranking: Ranking) -> list[Number]:
    """COCO's AP, AP@50 and AR@100."""
    coco = f"mean over {boxes.num_classes} annotated classes; {ranking.of_boxes}, 100 boxes per class and image"
    kinds: tuple[tuple[str, str, str, str, IntervalKind], ...] = (
        ("box_ap", "AP", "IoU 0.50:0.95", "0.50:0.95, x2 − x1", "mirrored"),
        ("box_ap50", "AP@50", "IoU 0.50", "≥ 0.5, x2 − x1", "mirrored"),
        ("box_ar", "AR@100", "average recall, IoU 0.50:0.95", "0.50:0.95, x2 − x1", "moved"),
    )
    return [
        Number(
            name=name,
            statistic=place,
            counted=f"COCO, {counted}; {coco}",
            averaging="classes",
            denominator=boxes.num_classes,
            section="objects",
            symbol=symbol,
            iou=iou,
            interval=interval,
        )
        for place, (name, symbol, counted, iou, interval) in enumerate(kinds)
    ]


def object_numbers(annotated: FlatGraphs, predicted: FlatGraphs, hit_rows: Integers) -> list[Number]:
    """Recall, precision and F1 of all images together; `hit_rows` are the annotated objects that are hit."""
    hits, truths, answers = (
        per_image(images, annotated)
        for images in (annotated.object_image[hit_rows], annotated.object_image, predicted.object_image)
    )
    num_truths, num_answers = int(truths.sum()), int(answers.sum())
    both = f"({num_answers} predicted + {num_truths} annotated)"
    return [
        Number(
            name=name,
            statistic=ratio(top, bottom),
            counted=f"{counted}, pooled",
            averaging="pooled",
            denominator=int(bottom.sum()),
            section="objects",
        )
        for name, top, bottom, counted in (
            ("object_recall", hits, truths, f"object hits / {num_truths} annotated"),
            ("object_precision", hits, answers, f"object hits / {num_answers} predicted"),
            ("object_f1", 2 * hits, truths + answers, f"2 · object hits / {both}"),
        )
    ]


def object_part_numbers(annotated: FlatGraphs, hit_rows: Integers, parts: Mapping[str, Mask]) -> list[Number]:
    """Recall of some of the annotated objects, of each part by itself; all images together."""
    is_hit = np.zeros(len(annotated.object_image), dtype=bool)
    is_hit[hit_rows] = True
    numbers = []
    for part, mask in parts.items():
        found, asked = (per_image(annotated.object_image[m], annotated) for m in (is_hit & mask, mask))
        size = int(asked.sum())
        number = Number(
            name=f"object_recall_{part}",
            statistic=ratio(found, asked),
            counted=f"object hits / {size} annotated, pooled, of {part} classes",
            averaging="pooled",
            denominator=size,
            section="open vocabulary",
        )
        numbers.append(number)
    return numbers
