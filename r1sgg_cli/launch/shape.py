"""The shape of a model: its sizes and how many weights they make, without loading anything.

Counts are exact: they equal the number of elements of transformers' own classes, parameter by parameter. A tied head
is counted once, as transformers does.
"""

from dataclasses import dataclass
from typing import Literal

Tiling = Literal["area", "tiles", "square"]
"""How an image becomes tokens: by its area, in square tiles with an overview, or as one square."""

_PROCESSOR_MAX_TILES = 12  # of transformers' GotOcr2ImageProcessor, which InternVL's processor is


@dataclass(frozen=True, slots=True)
class Linears:
    """Linear layers of one size."""

    count: int
    inputs: int
    outputs: int
    bias: bool = False

    @property
    def num_parameters(self) -> int:
        """Of all of them."""
        return self.count * (self.inputs + self.bias) * self.outputs

    @property
    def num_weights(self) -> int:
        """Without biases."""
        return self.count * self.inputs * self.outputs

    def num_adapters(self, rank: int) -> int:
        """Parameters of low-rank adapters on all of them: two matrices each (arXiv 2106.09685)."""
        return self.count * rank * (self.inputs + self.outputs)


@dataclass(frozen=True, slots=True)
class VisionShape:
    """The image encoder and what leads from it to the language model."""

    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    is_gated: bool
    """Whether its MLP multiplies two halves, as Qwen2.5-VL's does."""
    mlp_tensors: int
    """Tensors of the inner width that an MLP saves: 4 gated, 3 with quick GELU, which is two steps, 2 with GELU."""
    patch_size: int
    image_size: int
    """Pixels along one side of a tile or square; 0 where images keep their size."""
    merge_size: int
    """Patches along one side of an image token."""
    pixels_per_patch: int
    """Numbers that the encoder is given for one patch."""
    tiling: Tiling
    tower: tuple[Linears, ...]
    tower_rest: int
    """Parameters of the encoder that are no linear layer's: patches, positions, norms."""
    projector: tuple[Linears, ...]
    projector_rest: int
    projector_is_in_tower: bool
    """Whether freezing the encoder freezes the projector too, as transformers' modules are nested."""

    @property
    def tower_parameters(self) -> int:
        """Of the encoder without the projector."""
        return sum(part.num_parameters for part in self.tower) + self.tower_rest

    @property
    def projector_parameters(self) -> int:
        """Of what leads to the language model: merger, projector."""
        return sum(part.num_parameters for part in self.projector) + self.projector_rest

    @property
    def num_parameters(self) -> int:
        """Of encoder and projector."""
        return self.tower_parameters + self.projector_parameters

    def frozen_parameters(self) -> int:
        """Of what a run with `freeze_vision` leaves as it is."""
        return self.num_parameters if self.projector_is_in_tower else self.tower_parameters

    def num_patches(self, image_tokens: int) -> int:
        """Positions in the encoder for so many image tokens."""
        patches = image_tokens * self.merge_size**2
        if self.tiling == "area":
            return patches
        per_tile = (self.image_size // self.patch_size) ** 2
        return patches + -(-patches // per_tile)  # a class token for each tile


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What a forecast needs to know about a model."""

    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    max_tokens: int
    """The longest sequence that it has positions for."""
    is_tied: bool
    """Whether the head is the embedding."""
    norms_heads: bool
    """Whether queries and keys are normalised, as Qwen3's are."""
    linears: tuple[Linears, ...]
    """The language model's, without embedding and head."""
    norms: int
    """Parameters of its norms."""
    vision: VisionShape

    @property
    def embedding_parameters(self) -> int:
        """Of the embedding; as many has the head."""
        return self.vocab_size * self.hidden_size

    @property
    def language_parameters(self) -> int:
        """With embedding and head, a tied one once."""
        embeddings = self.embedding_parameters * (1 if self.is_tied else 2)
        return sum(part.num_parameters for part in self.linears) + self.norms + embeddings

    @property
    def num_parameters(self) -> int:
        """Of the whole model."""
        return self.language_parameters + self.vision.num_parameters

    @property
    def kv_elements_per_token(self) -> int:
        """Numbers that a cache of keys and values holds for one token, in all layers."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim

    def image_tokens(self, max_pixels: int) -> int:
        """The most image tokens of an image of at most `max_pixels` (`models/images.py` chooses the size)."""
        vision = self.vision
        if vision.tiling == "area":
            return max_pixels // (vision.patch_size * vision.merge_size) ** 2
        per_tile = (vision.image_size // vision.patch_size // vision.merge_size) ** 2
        if vision.tiling == "square":
            return per_tile
        allowed = max_pixels // vision.image_size**2
        num_tiles = min(_PROCESSOR_MAX_TILES, allowed - 1) if allowed > 2 else 1
        return per_tile * (num_tiles + (num_tiles > 1))
