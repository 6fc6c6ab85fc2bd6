"""The probability of each object and relationship that an answer lists, out of those of its tokens.

An object's is that of its name, as a detector's score is that of its class; a relationship's that of its three values
as they are written: which subject, which predicate, which object. Numbers of boxes are left out: many boxes a pixel
apart are as right as the one that was written, and share its probability.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from tokenizers.decoders import DecodeStream

from r1sgg_cli.models.completion import Completion
from r1sgg_cli.scene_graph.answer import find_answer
from r1sgg_cli.scene_graph.labels import written_name
from r1sgg_cli.scene_graph.parse import ParsedAnswer

_STRING = r'"((?:[^"\\]|\\.)*)"'
_ID = re.compile(rf'"id"\s*:\s*{_STRING}')
_END = re.compile(rf'"(subject|predicate|object)"\s*:\s*{_STRING}')

Span = tuple[int, int]
"""Characters of a text: the first, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Probabilities:
    """Natural logarithms, parallel to the objects and triplets of a parsed graph; None for what cannot be told."""

    objects: tuple[float | None, ...]
    triplets: tuple[float | None, ...]


def answer_logprob(completion: Completion) -> float | None:
    """Natural logarithm of the whole text's probability, its end included; None where the engine gives none."""
    return None if completion.token_logprobs is None else sum(completion.token_logprobs)


def graph_probabilities(completion: Completion, parsed: ParsedAnswer, tokenizer: Any) -> Probabilities | None:
    """The probabilities of what `parsed`, read from the completion's text, lists; None without those of tokens.

    `tokenizer` is transformers' own. None also where its tokens do not spell the text.
    """
    if completion.token_logprobs is None:
        return None
    ends = token_ends(completion, tokenizer)
    if ends is None:
        return None
    logprobs = completion.token_logprobs
    objects = [_sum(span, ends, logprobs) for span in _object_spans(completion.text, parsed)]
    triplets = [_sum_all(spans, ends, logprobs) for spans in _triplet_spans(completion.text, parsed)]
    return Probabilities(tuple(objects), tuple(triplets))


def token_ends(completion: Completion, tokenizer: Any) -> list[int] | None:
    """Characters of the text up to the end of each of its tokens; None where the tokens do not spell the text."""
    stream = DecodeStream(skip_special_tokens=True)
    backend = tokenizer.backend_tokenizer
    pieces = [stream.step(backend, token) or "" for token in completion.token_ids]
    ends = list(accumulate(map(len, pieces)))
    return ends if "".join(pieces) == completion.text else None


def _object_spans(text: str, parsed: ParsedAnswer) -> Iterator[Span | None]:
    """The name in the id of each object, in the order of the text, which is that of the graph."""
    if parsed.given:
        yield from [None] * len(parsed.graph.ids)
        return
    written = ((_decoded(found[1]), found.start(1)) for found in _ID.finditer(text, _answer_start(text)))
    for object_id in parsed.graph.ids:
        start = next((start for text_id, start in written if text_id == object_id), None)
        yield None if start is None else (start, start + len(written_name(object_id)))


def _triplet_spans(text: str, parsed: ParsedAnswer) -> Iterator[tuple[Span, ...] | None]:
    ids = parsed.graph.ids
    written = iter(list(_written_triplets(text)))
    for triplet in parsed.graph.triplets:
        ends = ids[triplet.subject], ids[triplet.object]
        yield next((spans for values, spans in written if values == ends), None)


def _written_triplets(text: str) -> Iterator[tuple[tuple[str, str], tuple[Span, ...]]]:
    """Subject and object of each relationship in the text, and where its three values stand."""
    values: dict[str, re.Match[str]] = {}
    for found in _END.finditer(text, _answer_start(text)):
        values[found[1]] = found
        if len(values) == 3:
            ends = _decoded(values["subject"][2]), _decoded(values["object"][2])
            yield ends, tuple(value.span(2) for value in values.values())
            values = {}


def _answer_start(text: str) -> int:
    """Where the answer begins: names among the thoughts before it are none of its own."""
    return max(0, text.rfind(find_answer(text).text))


def _decoded(written: str) -> str:
    """The string that stands in JSON's quotes; as it is written where it is none."""
    try:
        return str(json.loads(f'"{written}"', strict=False))
    except ValueError:
        return written


def _sum_all(spans: Sequence[Span] | None, ends: Sequence[int], logprobs: Sequence[float]) -> float | None:
    sums = [_sum(span, ends, logprobs) for span in spans or ()]
    known = [one for one in sums if one is not None]
    return sum(known) if known and len(known) == len(sums) else None


def _sum(span: Span | None, ends: Sequence[int], logprobs: Sequence[float]) -> float | None:
    """Over the tokens that wrote a part of the span."""
    if span is None:
        return None
    first, end = span
    starts = [0, *ends]
    return sum(logprobs[i] for i, token_end in enumerate(ends) if starts[i] < end and token_end > first)
