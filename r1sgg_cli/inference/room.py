"""How much is answered at once: tokens of a prompt with its answer, the same for every engine, and images.

It imports no torch: plans are made of it as well.
"""

from r1sgg_cli.launch.architectures import parse_shape
from r1sgg_cli.launch.config_json import load_config
from r1sgg_cli.launch.sequences import ENGINE_TEXT_TOKENS

SHORT_TEXT_TOKENS = 2048
"""Enough for prompts that list the categories of VG150 or PSG, in every family's tokens."""
TRANSFORMERS_BATCH = 8
"""Images that transformers answers together if no other number is given."""


def room_for(model: str, max_pixels: int, max_new_tokens: int, text_tokens: int = ENGINE_TEXT_TOKENS) -> int:
    """The model's context, or less where no prompt needs all of it: vLLM keeps memory for one such sequence.

    `model` is a folder with a config.json or a name on the hub. Raises `ModelError`.
    """
    found = load_config(model, fetch=True)
    assert found is not None, "what is not found raises"
    shape = parse_shape(found[0], model)
    return min(shape.max_tokens, shape.image_tokens(max_pixels) + text_tokens + max_new_tokens)


def too_long(num_prompt_tokens: int, room: int) -> str | None:
    """Why a prompt cannot be answered, as a phrase that names no image; None where there is room for an answer."""
    if num_prompt_tokens < room:
        return None
    return (
        f"its prompt has {num_prompt_tokens} tokens, and there is room for {room} with the answer; "
        "name fewer categories, or lower `--max-pixels`"
    )
