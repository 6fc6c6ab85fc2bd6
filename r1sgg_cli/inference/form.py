"""The form of an answer as a grammar, so that an engine can only write answers that are in form.

The grammar is xgrammar's EBNF; vLLM takes its text (`StructuredOutputsParams(grammar=…)`). It says exactly what
`data.prompts.format_answer` writes, key order and missing blanks included. A JSON schema would not: xgrammar 0.2 writes
schemas with a blank after each comma and colon, which no answer in training has, and cannot bound an answer in tokens.

**Counts and lengths are bounded**, so that an answer ends whatever the model wants:

- At most 64 objects and 100 relationships: the published sets annotate up to about 60 of each, and R@100 counts 100.
  A model that repeats itself is stopped there, if it has tokens left.
- `[max_tokens=N]` ends a rule at the first place where it can end once it has written N tokens. Such a bound counts
  from the start of the text, so that what thoughts or objects leave over goes to what follows: thoughts end after half
  of the tokens, objects after seven eighths, relationships in time for the last of them to be closed. An answer that
  reaches a bound amid an item finishes that item; xgrammar then says once on stderr that it did.
- Names of open categories are bounded in tokens, too: a bound in letters (`{0,40}`) costs a millisecond for each token
  of each answer with a vocabulary of 150,000 tokens, this 0.02. Within an item in which a list's bound was reached it
  does not hold, so that an answer with open categories whose last name never ends is cut off by `max_new_tokens`.

**Not bound** are what no context-free grammar can say: an id that is used twice, a relationship whose end names no
object, the right edge of a box left of its left. `scene_graph.parse` repairs and counts those.
"""

import json
from collections.abc import Iterable
from typing import Any

from r1sgg_cli.config.schema import Task
from r1sgg_cli.data.prompts import LISTS
from r1sgg_cli.models.families import ModelFamily
from r1sgg_cli.models.images import ImageLimits, PixelLimits
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

ENGINE_OPTIONS: dict[str, Any] = {"backend": "xgrammar"}
"""vLLM's `structured_outputs_config`: the other backends know no `max_tokens`."""
MAX_OBJECTS, MAX_RELATIONSHIPS = 64, 100
ENDING_TOKENS = 160
"""More than the longest relationship takes with what closes an answer, even letter by letter."""
NAME_TOKENS = 24
"""Of an open name or predicate; the longest of the published sets take five."""

# Letters of living scripts. xgrammar 0.2 compiles some ranges of longer encodings to dead ends, in which no token is
# allowed: of each that is written here, the last bytes go all the way, or the first are one and the same.
_LETTERS = r"a-zA-Z\u00c0-\u07ff\u0800-\u0fff\u1e00-\u1fff\u3041-\ucfff\ud000-\ud7a3"
_OPEN_NAME = f"[{_LETTERS}] [ '_{_LETTERS}-]*"


def answer_grammar(
    family: ModelFamily,
    limits: ImageLimits,
    max_new_tokens: int,
    *,
    think: bool,
    vocabulary: Vocabulary | None = None,
    task: Task = "sgg",
) -> str:
    """The grammar of one task's answers to all images of a run, as text.

    `vocabulary` is that of predefined categories; None leaves names and predicates open. An answer lists at least one
    object where its task lists objects. With a vocabulary it ends within `max_new_tokens` whatever the model wants,
    unless these are so few (below 1,280) that an eighth of them may not do for a last item spelled letter by letter.
    Boxes in pixels may have any number up to the longest side that `limits` allow; parsing clips them to their image.
    """
    ending = min(ENDING_TOKENS, max_new_tokens // 8)
    most = max(8, max_new_tokens - ending)
    rules = [
        *_answer_rules(task, most, think),
        *_item_rules(vocabulary),
        f"number ::= {_number(family, limits)}",
    ]
    if think:
        closing = _literal("</think>")
        rules.append(
            f"thoughts[max_tokens={most // 2}] ::= TagDispatch(loop_after_dispatch=false, excludes=({closing}))"
        )
    return "\n".join(rules) + "\n"


def _answer_rules(task: Task, most: int, think: bool) -> list[str]:
    """`root`, and one rule for each list, that holds the text up to its last item and ends after so many tokens."""
    text = [_literal("<think>"), "thoughts", _literal("</think><answer>{")] if think else [_literal("{")]
    items = {
        "objects": f'object ("," object){{0,{MAX_OBJECTS - 1}}}',
        "relationships": f'(relationship ("," relationship){{0,{MAX_RELATIONSHIPS - 1}}} | "")',
    }
    rules = []
    for left, name in reversed(list(enumerate(reversed(LISTS[task])))):
        rule, opening = f"to_{name}", _literal(f'"{name}":[')
        rules.append(f"{rule}[max_tokens={most - left * most // 8}] ::= {' '.join(text)} {opening} {items[name]}")
        text = [rule, _literal("],")]
    return [f"root ::= {text[0]} {_literal(']}</answer>' if think else ']}')}", *rules]


def _item_rules(vocabulary: Vocabulary | None) -> list[str]:
    bound, name, predicate = f"[max_tokens={NAME_TOKENS}]", _OPEN_NAME, _OPEN_NAME
    if vocabulary is not None:
        # Targets hold names as the source writes them, sometimes in normal form; both mean the same.
        bound, name = "", _one_of((*vocabulary.written_objects, *vocabulary.objects))
        predicate = _one_of((*vocabulary.written_predicates, *vocabulary.predicates))
    box = ' "," '.join(["number"] * 4)
    return [
        _rule("object", '{"id":"', "id", '","bbox":[', box, "]}"),
        _rule("relationship", '{"subject":"', "id", '","predicate":"', "predicate", '","object":"', "id", '"}'),
        'id ::= name "." [1-9] [0-9]? [0-9]?',
        f"name{bound} ::= {name}",
        f"predicate{bound} ::= {predicate}",
    ]


def _rule(name: str, *parts: str) -> str:
    """A rule of texts and rules in turn."""
    return f"{name} ::= {' '.join(rule if place % 2 else _literal(rule) for place, rule in enumerate(parts))}"


def _one_of(names: Iterable[str]) -> str:
    return " | ".join(_literal(json.dumps(name, ensure_ascii=False)[1:-1]) for name in dict.fromkeys(names))


def _literal(text: str) -> str:
    """The text as a terminal of the grammar, whose escapes are JSON's."""
    return json.dumps(text, ensure_ascii=False)


def _number(family: ModelFamily, limits: ImageLimits) -> str:
    largest = family.relative_side
    if largest is None:
        assert isinstance(limits, PixelLimits)
        largest = limits.max_pixels // limits.factor  # an image is one token high, or wide, at least
    if not family.decimals:
        return whole_numbers(largest)
    digits = f"{{1,{family.decimals}}}"
    return f'({whole_numbers(largest - 1)}) "." [0-9]{digits} | "{largest}." "0"{digits}'


def whole_numbers(largest: int) -> str:
    """A rule for the decimal numbers from 0 to `largest`, without leading zeros."""
    digits = str(largest)
    rules = ['"0"', f'"{largest}"']
    if len(digits) > 1:
        rules.append(f"[1-9] [0-9]{{0,{len(digits) - 2}}}")
    for place, digit in enumerate(digits):  # as long as `largest`, and smaller from this place on
        least, below = int(place == 0), int(digit) - 1
        if below >= least:
            rules.append(f'"{digits[:place]}" [{least}-{below}] [0-9]{{{len(digits) - place - 1}}}')
    return " | ".join(rules)
