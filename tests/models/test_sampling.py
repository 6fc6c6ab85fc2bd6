"""The next token: greedily, or by chance that depends on the seed of a row alone."""

import pytest
import torch
from scipy.stats import chisquare

from r1sgg_cli.models.sampling import Sampling, TokenChooser

PROBABILITIES = torch.tensor([0.5, 0.3, 0.15, 0.05])
NO_IDS = torch.zeros((1, 0), dtype=torch.long)


def chosen(sampling: Sampling, num_draws: int, unsampled: tuple[int, ...] = ()) -> list[int]:
    """How often each of four tokens is chosen."""
    chooser = TokenChooser(sampling, unsampled, range(num_draws))
    scores = PROBABILITIES.log().expand(num_draws, -1)
    picks = chooser(NO_IDS.expand(num_draws, -1), scores).argmax(dim=1)
    return torch.bincount(picks, minlength=4).tolist()


def is_drawn_from(counts: list[int], weights: torch.Tensor) -> bool:
    expected = weights.double() / weights.double().sum() * sum(counts)
    return bool(chisquare(counts, expected.numpy()).pvalue > 1e-3)


def test_tokens_come_as_often_as_the_model_says() -> None:
    counts = chosen(Sampling(1, temperature=1.0), 4000)
    assert is_drawn_from(counts, PROBABILITIES)


def test_temperature_sharpens() -> None:
    counts = chosen(Sampling(1, temperature=0.25), 4000)
    assert is_drawn_from(counts, PROBABILITIES**4)


@pytest.mark.parametrize("sampling", [Sampling(1, temperature=1.0, top_k=2), Sampling(1, temperature=1.0, top_p=0.79)])
def test_truncation_leaves_the_likeliest(sampling: Sampling) -> None:
    counts = chosen(sampling, 500)
    assert counts[2:] == [0, 0]
    assert min(counts[:2]) > 0


def test_greedy_takes_the_likeliest_that_may_be_written() -> None:
    assert chosen(Sampling(1), 3) == [3, 0, 0, 0]
    assert chosen(Sampling(1), 3, unsampled=(0,)) == [0, 3, 0, 0]


def test_a_probability_is_the_models_own() -> None:
    chooser = TokenChooser(Sampling(1, temperature=5.0), (0,), [7])
    token = chooser(NO_IDS, PROBABILITIES.log()[None]).argmax().item()
    assert chooser.token_logprobs() == [pytest.approx([PROBABILITIES[int(token)].log().item()])]


def test_each_text_of_each_image_has_a_seed_of_its_own() -> None:
    sampling = Sampling(1, temperature=1.0, num_answers=3)
    seeds = [*sampling.seeds("a"), *sampling.seeds("b"), *Sampling(1, 1.0, num_answers=3, seed=1).seeds("a")]
    assert len(set(seeds)) == 9
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert Sampling(1, temperature=1.0, num_answers=5).seeds("a")[:3] == sampling.seeds("a")
