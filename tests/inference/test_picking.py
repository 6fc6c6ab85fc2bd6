"""Which graph stands for an image whose answer holds several texts."""

import json
from typing import Any

import pytest

from r1sgg_cli.errors import AnswersError
from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.label_mapping import LabelMapping
from r1sgg_cli.inference.picking import Pick, picked_reading
from r1sgg_cli.inference.reading import Reader, Reading
from r1sgg_cli.scene_graph.aliases import Aliases
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

from .conftest import make_truth

OPEN = Vocabulary((), ())


def sample(*names: str, **options: Any) -> Sample:
    objects = [{"id": f"{name}.{i}", "bbox": [0, 0, 100, 100]} for i, name in enumerate(names, start=1)]
    text = json.dumps({"objects": objects, "relationships": []})
    return Sample(**{"text": text, "finish_reason": "stop", "num_tokens": 9, **options})


def pick(how: Pick, *samples: Sample) -> tuple[Reading, str]:
    answer = Answer("a", (1000, 1000), samples)
    return picked_reading(answer, make_truth("a"), Reader(OPEN, LabelMapping(OPEN)), how)


def names(how: Pick, *samples: Sample) -> tuple[str, ...]:
    graph = pick(how, *samples)[0].graph
    assert graph is not None
    return graph.names


def test_the_first_is_the_first() -> None:
    assert names("first", sample("man"), sample("horse")) == ("man",)


def test_the_likeliest_is_so_per_token_its_end_included() -> None:
    """A long text is less likely as a whole, and one that was cut off has no end token."""
    long = sample("man", logprob=-10.0, num_tokens=99)
    short = sample("horse", logprob=-2.0, num_tokens=9)
    cut = sample("dog", logprob=-2.0, num_tokens=19, finish_reason="length")
    assert names("likelihood", short, long) == ("man",)
    assert names("likelihood", short, cut) == ("dog",)


def test_likelihood_without_probabilities_is_refused() -> None:
    with pytest.raises(AnswersError, match="image `a` has texts without; take `--pick first`"):
        pick("likelihood", sample("man", logprob=-1.0), sample("horse"))


def test_a_single_text_needs_no_probability() -> None:
    assert names("likelihood", sample("man")) == ("man",)


def test_the_majority_has_the_shares_of_its_votes_as_scores() -> None:
    reading, text = pick("majority", sample("man", "ghost"), sample("man"), sample("man", "horse"))
    assert reading.graph is not None
    assert (reading.graph.names, reading.object_scores) == (("man",), (1,))
    assert text.count('"objects"') == 3


def test_texts_that_cannot_be_read_are_counted_and_vote_for_nothing() -> None:
    reading, _ = pick("majority", sample("man", "dog"), sample(text="oh"), sample("man"))
    assert reading.graph is not None
    assert reading.graph.names == ("man",)
    assert reading.object_scores == pytest.approx((2 / 3,))
    assert reading.defects == {"unreadable_text": 1}


def test_a_majority_has_its_own_strangers_and_the_repairs_of_all_texts() -> None:
    """A ghost that one text alone sees is no stranger in the graph that is agreed on."""
    vocabulary = Vocabulary(("man",), ())
    samples = (sample("man", "ghost"), sample("man", "dog"), sample("man", "dog"))
    reader = Reader(vocabulary, LabelMapping(vocabulary, Aliases({"ghost": "man"}, {}, {})))
    reading, _ = picked_reading(Answer("a", (1000, 1000), samples), make_truth("a"), reader, "majority")
    assert reading.defects == {
        "out_of_vocabulary_object": 1,
        "in_texts_out_of_vocabulary_object": 2,
        "in_texts_object_mapped_by_alias": 1,
    }


def test_where_no_text_can_be_read_the_image_is_a_failure() -> None:
    reading, _ = pick("majority", sample(text="oh"), sample(text='{"things": 1}'))
    assert (reading.graph, reading.failure) == (None, "no_json")
