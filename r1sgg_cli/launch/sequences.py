"""How long a run's sequences are: by its recipe, and by what a model makes of images."""

from collections import Counter
from dataclasses import dataclass

from r1sgg_cli.config.schema import GRPORun, SFTRecipe, SFTRun
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.launch.steps import sequences_per_step

PROMPT_TOKENS = 700
"""System and user prompt with open categories, at most; see the test that counts them."""
VOCABULARY_TOKENS = 900
"""What VG150's 150 objects and 50 predicates, or PSG's 133 and 56, add to a prompt, at most."""
ENGINE_TEXT_TOKENS = 8192
"""Room in a vLLM engine for a prompt's text: with the 200 names of VG150 it is of 2,300 bytes, 100 given objects are of
5,000 more, and no token is shorter than a byte. What is longer is refused in the middle of a run."""


@dataclass(frozen=True, slots=True)
class SequenceTokens:
    """The longest sequence that a run may meet, in tokens."""

    prompt: int
    image: int
    answer: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.prompt + self.image + self.answer


def sequence_tokens(run: SFTRun | GRPORun, shape: ModelShape) -> SequenceTokens:
    """The longest sequence of a run, from its recipe."""
    recipe = run.recipe
    answer = recipe.max_answer_tokens if isinstance(recipe, SFTRecipe) else recipe.max_new_tokens
    prompt = PROMPT_TOKENS + (VOCABULARY_TOKENS if recipe.predefined_categories else 0)
    return SequenceTokens(prompt, shape.image_tokens(recipe.max_pixels), answer)


def engine_tokens(run: GRPORun, shape: ModelShape) -> int:
    """Room of a vLLM engine for a prompt and its answer: what the recipe says, or all that may be needed."""
    if stated := run.recipe.trainer.get("vllm_max_model_length"):
        return int(stated)
    wanted = shape.image_tokens(run.recipe.max_pixels) + ENGINE_TEXT_TOKENS + run.recipe.max_new_tokens
    return min(wanted, shape.max_tokens)


def shares_prompts(shape: ModelShape) -> bool:
    """Whether GRPO's answers share a row with their prompt; see `training.scoring.SharesPrompts`."""
    return shape.vision.tiling != "tiles"


def shared_rows(run: SFTRun | GRPORun, shape: ModelShape) -> tuple[int | None, int]:
    """Rows of a forward pass in which GRPO's answers share their prompt, and the most answers in one, where there are
    most tokens; (None, 1) for sequences with a row of their own."""
    if run.stage != "grpo" or not shares_prompts(shape):
        return None, 1
    tokens = sequence_tokens(run, shape)
    prompt, size = tokens.prompt + tokens.image, run.micro_batch
    most = (0, 0, 0)
    for start in range(0, sequences_per_step(run), size):
        answers = Counter(number // run.recipe.num_generations for number in range(start, start + size))
        rows, per_row = len(answers), max(answers.values())
        most = max(most, (rows * (prompt + per_row * tokens.answer), rows, per_row))
    return most[1], most[2]
