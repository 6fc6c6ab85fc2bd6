"""How long a prompt and its answer may be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from r1sgg_cli.inference.room import room_for, too_long


def test_there_is_room_for_the_longest_prompt_and_no_more_than_the_context(
    tiny_checkpoint: Callable[[str], Path],
) -> None:
    tiny = str(tiny_checkpoint("qwen2_vl"))
    assert room_for(tiny, max_pixels=400 * 100, max_new_tokens=50, text_tokens=700) == 100 + 700 + 50
    assert room_for(tiny, max_pixels=400 * 100, max_new_tokens=50) == 4096


@pytest.mark.parametrize(("num_prompt_tokens", "fits"), [(99, True), (100, False), (101, False)])
def test_a_prompt_leaves_room_for_a_token_at_least(num_prompt_tokens: int, fits: bool) -> None:
    said = too_long(num_prompt_tokens, 100)
    assert (said is None) is fits
    assert fits or f"{num_prompt_tokens} tokens, and there is room for 100" in str(said)
