"""Which process is a worker of `infer`, and on which card."""

import os

import pytest

from r1sgg_cli.cli.sharing import is_worker


@pytest.mark.parametrize(
    ("preset", "for_preset", "launcher", "expected"),
    [
        (None, (), "here", True),
        (None, (), None, False),
        (None, (), "torchrun", False),
        ("a100-4x", (), "here", False),
        (None, ("gpus_per_node=1",), "here", False),
    ],
    ids=["as a launcher starts it", "as somebody types it", "another launcher", "a preset", "a preset's value"],
)
def test_a_worker_is_told_to_answer_here_and_no_preset(
    preset: str | None, for_preset: tuple[str, ...], launcher: str | None, expected: bool
) -> None:
    assert is_worker(preset, for_preset, launcher) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("visible", "rank", "card"),
    [(None, "1", "1"), ("4,5,6", "2", "6"), ("GPU-a", "0", "GPU-a"), ("", "1", "1")],
    ids=["all", "some", "by name", "none named"],
)
def test_each_worker_of_torchrun_has_a_card_of_its_own(
    visible: str | None, rank: str, card: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", rank)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that it is taken back afterwards
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert is_worker(None, (), "here")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == card
