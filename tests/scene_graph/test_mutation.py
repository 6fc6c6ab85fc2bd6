"""Mutated answers and hostile texts: what they reach of the parser, and that only graphs and `ParseError` come out."""

import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.scene_graph.listing import FAILURES
from r1sgg_cli.scene_graph.parse import DEFECTS, ParseError, parse_answer
from tests.scene_graph.hostile import HOSTILE
from tests.scene_graph.mutation import GRAPH_CHANGES, TEXT_CHANGES, mutated
from tests.scene_graph.real_answers import MutatedAnswers, RealAnswer, load_real_answers
from tests.scene_graph.soundness import insist_on_sound_answer

NUM_GOLDEN = 591
NUM_TEXTS = 1_500
LENGTH = 100_000


@pytest.fixture(scope="module")
def real_answers() -> tuple[RealAnswer, ...]:
    """Those of the repository."""
    return load_real_answers(None)


def test_published_answers_are_more_of_them(real_answers: tuple[RealAnswer, ...], shared_dir: Path) -> None:
    more = load_real_answers(shared_dir / "golden")
    assert len(more) > len(real_answers) == NUM_GOLDEN
    assert all(answer.truth.ids for answer in more[NUM_GOLDEN:])


def test_the_same_seed_makes_the_same_texts(real_answers: tuple[RealAnswer, ...]) -> None:
    first, again, other = (MutatedAnswers(real_answers, seed) for seed in (7, 7, 8))
    texts = [first.next()[0] for _ in range(30)]
    assert texts == [again.next()[0] for _ in range(30)]
    assert texts != [other.next()[0] for _ in range(30)]


@pytest.mark.parametrize("change", sorted({change.__name__ for change in TEXT_CHANGES}))
def test_each_change_of_a_text_changes_it(change: str, real_answers: tuple[RealAnswer, ...]) -> None:
    generator = random.Random(0)
    function = next(each for each in TEXT_CHANGES if each.__name__ == change)
    text = real_answers[0].text
    assert any(function(generator, text) != text for _ in range(20))
    assert isinstance(function(generator, ""), str)


def test_changes_of_a_graph_take_any_json(real_answers: tuple[RealAnswer, ...]) -> None:
    generator = random.Random(0)
    items = [None, [1], {"id": "man.1", "bbox": [1, 2]}]
    odd: tuple[Any, ...] = (["x"], [{}], [{"id": []}], {"a": 1}, "text", None, 3, items)
    for change, objects, relationships in itertools.product(GRAPH_CHANGES, odd, odd):
        change(generator, {"objects": objects, "relationships": relationships})
    assert all(isinstance(mutated(generator, text, "{}"), str) for text in ("", "{", "{}", '{"objects": 3}') * 200)


def test_mutated_answers_meet_every_failure_and_every_defect(real_answers: tuple[RealAnswer, ...]) -> None:
    answers, met = MutatedAnswers(real_answers, seed=1), Counter[str]()
    for _ in range(NUM_TEXTS):
        text, real = answers.next()
        try:
            answer = parse_answer(text, real.box_space_wh)
        except ParseError as error:
            met[error.kind] += 1
            continue
        insist_on_sound_answer(answer)
        met["whole"] += not answer.defects
        met.update(answer.defects.keys())
    assert set(met) == {"whole", *FAILURES, *DEFECTS}


@pytest.mark.parametrize("shape", HOSTILE)
def test_a_hostile_text_is_read_in_linear_time(shape: str) -> None:
    """100,000 characters; a parser that takes quadratic time would not come back from them before minutes are over."""
    text = HOSTILE[shape](LENGTH)
    assert LENGTH <= len(text) < LENGTH + 1_000
    given = load_real_answers(None)[0].truth
    for graph in (None, given):
        try:
            insist_on_sound_answer(parse_answer(text, (1000, 1000), given=graph))
        except ParseError as error:
            assert error.kind in FAILURES  # noqa: PT017
