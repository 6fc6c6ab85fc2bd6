"""The probability of each object and relationship that an answer lists, out of those of its tokens.

An object's is that of its name, as a detector's score is that of its class; a relationship's that of its three values
as they are written: which subject, which predicate, which object. Numbers of boxes are left out: many boxes a pixel
apart are as right as the one that was written, and share its probability.
"""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from tokenizers.decoders import DecodeStream

from r1sgg_cli.models.completion import Completion
from r1sgg_cli.scene_graph.answer import find_answer
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.labels import normalise_label, written_name
from r1sgg_cli.scene_graph.parse import ParsedAnswer
from r1sgg_cli.scene_graph.salvage import LENIENT_JSON

_LIST = re.compile(r'"(?:objects|relationships)"\s*:\s*\[')
_TEXT_VALUE = re.compile(r'"(id|subject|predicate|object)"\s*:\s*"((?:[^"\\]|\\.)*)"')

Span = tuple[int, int]
"""Characters of a text: the first, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Probabilities:
    """Natural logarithms, parallel to the objects and triplets of a parsed graph; None for what cannot be told."""

    objects: tuple[float | None, ...]
    triplets: tuple[float | None, ...]


def answer_logprob(completion: Completion) -> float | None:
    """Natural logarithm of the whole text's probability, its end included; None where the engine gives none."""
    return None if completion.token_logprobs is None else rounded(sum(completion.token_logprobs))


def rounded(logprob: float) -> float:
    """To four digits: what stands beside an image in its batch moves those after them, and equal ones stay equal."""
    return round(logprob, 4)


def graph_probabilities(
    completion: Completion, parsed: ParsedAnswer, tokenizer: Any, origin: tuple[float, float] = (0.0, 0.0)
) -> Probabilities | None:
    """The probabilities of what `parsed`, read from the completion's text, lists; None without those of tokens.

    `tokenizer` is transformers' own, `origin` that of `parse_answer`. None also where tokens do not spell the text.
    """
    if completion.token_logprobs is None:
        return None
    ends = token_ends(completion, tokenizer)
    if ends is None:
        return None
    tokens = _Tokens(ends, [0.0, *accumulate(completion.token_logprobs)])
    items = list(_items(completion.text))
    graph = parsed.graph
    objects = [None] * len(graph.ids) if parsed.given else list(_object_spans(completion.text, items, graph, origin))
    triplets = list(_triplet_spans(completion.text, items, graph))
    return Probabilities(
        tuple(None if span is None else rounded(tokens.logprob(span)) for span in objects),
        tuple(None if spans is None else rounded(sum(map(tokens.logprob, spans))) for spans in triplets),
    )


def token_ends(completion: Completion, tokenizer: Any) -> list[int] | None:
    """Characters of the text up to the end of each of its tokens; None where the tokens do not spell the text."""
    stream = DecodeStream(skip_special_tokens=True)
    backend = tokenizer.backend_tokenizer
    pieces = [stream.step(backend, token) or "" for token in completion.token_ids]
    ends = list(accumulate(map(len, pieces)))
    return ends if "".join(pieces) == completion.text else None


@dataclass(frozen=True, slots=True)
class _Tokens:
    ends: Sequence[int]
    """Characters of the text up to the end of each token."""
    sums: Sequence[float]
    """Of the log-probabilities of all tokens before each, and of all."""

    def logprob(self, span: Span) -> float:
        """Of the tokens that wrote a part of the span."""
        first, end = span
        return self.sums[bisect_left(self.ends, end) + 1] - self.sums[bisect_right(self.ends, first)]


def _items(text: str) -> Iterator[tuple[dict[str, Any], int, int]]:
    """The whole items of the answer's lists, each with its span; names among the thoughts are none."""
    opening = _LIST.search(text, max(0, text.rfind(find_answer(text).text)))
    start = text.find("{", opening.end()) if opening else -1
    while start >= 0:
        try:
            item, end = LENIENT_JSON.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            end = start + 1
        else:
            yield item, start, end
        start = text.find("{", end)


def _object_spans(
    text: str, items: Sequence[tuple[dict[str, Any], int, int]], graph: SceneGraph, origin: tuple[float, float]
) -> Iterator[Span | None]:
    """The name in the id of each object: of the first item, in order, that has its id and its box."""
    left = iter(items)
    for object_id, box in zip(graph.ids, graph.boxes_xyxy, strict=True):
        kept = (at for item, *at in left if item.get("id") == object_id and _has_box(item, box, graph, origin))
        found = next(kept, None)
        span = None if found is None else _values(text, *found).get("id")
        yield None if span is None else (span[0], span[0] + len(written_name(object_id)))


def _has_box(item: dict[str, Any], box: Any, graph: SceneGraph, origin: tuple[float, float]) -> bool:
    """Whether an item's box is one of the graph, as `parse_answer` clips it."""
    try:
        written = np.array(item["bbox"], dtype=np.float64) - np.array(origin * 2)
    except (KeyError, TypeError, ValueError):
        return False
    return written.shape == (4,) and bool(np.allclose(np.clip(written, 0, graph.space_wh * 2), box, atol=1e-6))


def _triplet_spans(
    text: str, items: Sequence[tuple[dict[str, Any], int, int]], graph: SceneGraph
) -> Iterator[tuple[Span, ...] | None]:
    """The values of each relationship: of the first item, in order, that says the same."""
    left = iter(items)
    for triplet in graph.triplets:
        said = graph.ids[triplet.subject], triplet.predicate, graph.ids[triplet.object]
        found = next((at for item, *at in left if _relationship(item) == said), None)
        values = {} if found is None else _values(text, *found)
        spans = tuple(values[key] for key in ("subject", "predicate", "object") if key in values)
        yield spans if len(spans) == 3 else None


def _relationship(item: dict[str, Any]) -> tuple[Any, str, Any] | None:
    predicate = item.get("predicate")
    return (item.get("subject"), normalise_label(predicate), item.get("object")) if isinstance(predicate, str) else None


def _values(text: str, start: int, end: int) -> dict[str, Span]:
    """Where the texts of an item stand, by key."""
    return {found[1]: found.span(2) for found in _TEXT_VALUE.finditer(text, start, end)}
