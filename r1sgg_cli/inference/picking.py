"""Which graph stands for an image whose answer holds several texts.

`first`: the first text. `likelihood`: the text with the highest mean log-probability per token, its end included,
whether or not it can be read. `majority`: what at least half of the texts agree on (`scene_graph.consensus`), where a
text that cannot be read shows nothing.

Defects of a majority: names outside the vocabulary are those of the graph that is agreed on. What was repaired, mapped
or odd in the texts is summed over all of them, and begins with `in_texts_`, for most of it may be in no graph.
"""

from collections.abc import Sequence
from typing import Literal

from r1sgg_cli.errors import AnswersError
from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.ground_truth import ImageTruth
from r1sgg_cli.inference.reading import Reader, Reading
from r1sgg_cli.scene_graph.consensus import consensus

Pick = Literal["first", "likelihood", "majority"]
BETWEEN_TEXTS = "\n\n"
IN_TEXTS = "in_texts_"


def picked_reading(answer: Answer, truth: ImageTruth, reader: Reader, pick: Pick) -> tuple[Reading, str]:
    """What the answer says, and the text or texts that say it. Raises `AnswersError` where nothing can be told."""
    if pick == "majority":
        readings = [reader.read(sample, answer, truth) for sample in answer.samples]
        return _majority(readings, reader), BETWEEN_TEXTS.join(sample.text for sample in answer.samples)
    sample = answer.samples[0] if pick == "first" else _likeliest(answer)
    return reader.read(sample, answer, truth), sample.text


def _likeliest(answer: Answer) -> Sample:
    """The first of the likeliest. Raises `AnswersError` where there is a choice, but no probability."""
    if len(answer.samples) == 1:
        return answer.samples[0]
    scored = [(mean, sample) for sample in answer.samples if (mean := _mean_logprob(sample)) is not None]
    if len(scored) < len(answer.samples):
        raise AnswersError(
            f"`--pick likelihood` needs the log-probability of every text, and image `{answer.image_id}` has texts"
            " without; take `--pick first` or `majority`, or answer again with an engine that gives them"
        )
    return max(scored, key=lambda item: item[0])[1]


def _mean_logprob(sample: Sample) -> float | None:
    """Per token; `num_tokens` leaves out the end token, which a text that was cut off lacks."""
    if sample.logprob is None:
        return None
    return sample.logprob / max(1, sample.num_tokens + (sample.finish_reason == "stop"))


def _majority(readings: Sequence[Reading], reader: Reader) -> Reading:
    agreed = consensus([reading.graph for reading in readings])
    if agreed is None:
        return Reading(None, readings[0].failure)
    defects = reader.strangers(agreed.graph)
    for reading in readings:
        defects.update({f"{IN_TEXTS}{kind}": count for kind, count in (reading.defects or {}).items()})
    unread = sum(reading.graph is None for reading in readings)
    if unread:
        defects["unreadable_text"] += unread
    return Reading(agreed.graph, None, defects, agreed.object_scores, agreed.triplet_scores)
