"""The floating-point operations that a training step needs, from the model's shape and the step's tokens.

Two for each weight that a token meets on the way forward; as many again for the gradient of what the weight is given,
and for that of the weight itself (Kaplan et al., arXiv 2001.08361, section 2.1). Attention of the language model comes
on top, half of it, because no token sees those after it. Left out are what is done again to save memory (recomputed
activations), attention within images, and the sampling of answers: what is told is the least that is needed.

Each sequence counts as if it were computed alone; sharing work between those of one image shows as speed.
"""

from dataclasses import astuple, dataclass

from r1sgg_cli.launch.shape import ModelShape

_FORWARD, _THROUGH, _WEIGHT = 2, 2, 2
"""Operations for each weight and token: the output, the input's gradient, the weight's gradient."""


@dataclass(frozen=True, slots=True)
class StepTokens:
    """The tokens of the sequences that one process trains on in a step, padding not counted."""

    total: int
    """Of prompts with their images, and of answers."""
    image: int
    answer: int
    """Only they go through the head."""
    squared_lengths: int
    """The sum over all sequences of their length squared."""

    def __add__(self, other: "StepTokens") -> "StepTokens":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return StepTokens(*(mine + theirs for mine, theirs in pairs))


def step_flops(shape: ModelShape, tokens: StepTokens, *, trains_weights: bool, trains_vision: bool) -> float:
    """Operations of a forward and a backward pass over `tokens`.

    Where adapters are trained the weights have no gradients of their own, but what they are given has; the encoder, in
    which there are no adapters, then has none at all.
    """
    language = _FORWARD + _THROUGH + (_WEIGHT if trains_weights else 0)
    vision = language if trains_vision and trains_weights else _FORWARD
    layers = sum(part.num_weights for part in shape.linears) * tokens.total
    head = shape.embedding_parameters * tokens.answer
    tower = sum(part.num_weights for part in shape.vision.tower) * shape.vision.num_patches(tokens.image)
    projector = sum(part.num_weights for part in shape.vision.projector) * tokens.image
    # Scores and weighted sum are a product each with every other token; both factors have gradients, weights or not.
    attention = shape.num_layers * shape.num_heads * shape.head_dim * tokens.squared_lengths
    both = _FORWARD + _THROUGH + _WEIGHT
    return language * (layers + head) + both * attention + vision * (tower + projector)
