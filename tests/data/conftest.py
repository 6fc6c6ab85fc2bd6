"""What the data tests share."""

import pytest

from r1sgg_cli.data import cutter


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images a chunk, so that few images make many."""
    monkeypatch.setattr(cutter, "CHUNK_SIZE", 4)
