"""The moments of a training step at which most memory comes and goes: what each holds, in bytes of one process.

`memory.py` opens with the formula and its sources.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from r1sgg_cli.launch.shape import Linears, ModelShape, VisionShape
from r1sgg_cli.launch.workload import Device, Spread, TrainingStep

_HEAD_ROWS, _HEAD_COLUMNS = 4096, 32768  # TRL's TOKEN_CHUNK_SIZE and _CHUNKED_LOGPROB_CHUNK_SIZE
# float32 tensors of a tile's size in TRL's `_forward_tile` and `_backward_tile`, which a GPU's kernels do without
_CPU_FORWARD_COPIES, _CPU_BACKWARD_COPIES = 4.25, 7.25


@dataclass(frozen=True, slots=True)
class Moment:
    """Bytes that a process holds at one moment of a step beyond what stays, as `MemoryForecast` parts them."""

    activations: float = 0
    logits: float = 0
    vision: float = 0

    @property
    def total(self) -> float:
        """Of all three."""
        return self.activations + self.logits + self.vision


@dataclass(frozen=True, slots=True)
class _LayerBytes:
    """What a decoder layer saves for its backward pass, in bytes a token, and the width of a number in it."""

    compute: int
    """Bytes of a number in a linear layer."""
    stream: int
    """Bytes of a number in the residual stream."""
    trains: bool
    """Whether the layer's own weights are trained."""
    lora_rank: int | None
    mask: int
    """Bytes that dropout keeps for a number."""

    @property
    def casts(self) -> bool:
        """Whether autocast makes a copy of what a linear layer reads from the stream."""
        return self.compute < self.stream

    def read(self, width: int, readers: int, from_stream: bool) -> float:
        """What `readers` linear layers save of the one tensor they read. Each autocast copy is one reader's own."""
        if self.lora_rank is not None:
            return readers * ((self.compute + self.mask) * width + self.compute * self.lora_rank)
        if not self.trains:
            return 0
        return self.compute * width * (readers if from_stream and self.casts else 1)

    def rms_norm(self, width: int, stream: int) -> float:
        """Of transformers' RMSNorm, its input where that is a copy in float32, and the normed numbers."""
        return (4 if stream < 4 else 0) * width + (stream * width if self.trains else 0)

    def saved(self, shape: ModelShape, is_masked: bool) -> float:
        """Of the whole layer, without its own input."""
        hidden, inner = shape.hidden_size, shape.intermediate_size
        queries, keys = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
        repeated = queries if is_masked else keys
        saved = 2 * self.rms_norm(hidden, self.stream) + self.stream * hidden  # two norms, the stream between them
        saved += self.read(hidden, 3, from_stream=True) + self.read(hidden, 2, from_stream=True)
        if shape.norms_heads:
            saved += self.rms_norm(queries + keys, self.compute) + (self.compute == 4) * 4 * (queries + keys)
        saved += self.compute * (2 * queries + 2 * repeated) + 4 * shape.num_heads
        saved += self.read(queries, 1, from_stream=False) if self.lora_rank is not None else 0
        saved += 3 * self.compute * inner + self.read(inner, 1, from_stream=False)
        return saved

    def mlp_gradients(self, shape: ModelShape) -> float:
        """What the layer's backward pass adds at its MLP, beyond what the layer saved."""
        skip = (self.stream + self.compute) * shape.hidden_size
        if self.lora_rank is None:
            return skip + 2 * self.compute * shape.intermediate_size
        # An adapter's dropout is in float32, and so are the gradients on its two sides.
        return skip + (self.compute + (8 if self.casts else 0)) * shape.intermediate_size


def step_moments(shape: ModelShape, step: TrainingStep, spread: Spread, device: Device) -> Iterable[Moment]:
    """The moments of a step one of which needs most, each with the bytes of one process."""
    tokens, compute = step.num_tokens, step.compute_bytes
    autocast = spread.autocasts(step)
    stream = 4 if autocast else compute
    trains = step.lora_rank is None
    mask = 1 if device == "cuda" else 4
    layer = _LayerBytes(compute, stream, trains, step.lora_rank, mask)
    saved, hidden = layer.saved(shape, step.is_masked), shape.hidden_size

    ends: float = tokens * (3 * stream * hidden + 2 * stream * shape.head_dim)  # the last norm, rotary angles
    ends += step.is_masked * step.mask_bytes * step.num_rows * step.row_tokens**2
    kept = ends + tokens * shape.num_layers * stream * hidden
    if not step.gradient_checkpointing:
        kept += tokens * shape.num_layers * saved
    vision_kept, vision_layer = _vision(shape, step)

    waits = 4 * shape.embedding_parameters if shape.is_tied and trains else 0
    copies = _autocast_copies(shape, step) if autocast else 0.0
    turned = _turned_bytes(shape, step)
    backward = _backward_bytes(shape, step, layer)
    if step.gradient_checkpointing:
        weights = sum(part.num_weights for part in shape.linears) / shape.num_layers
        backward += tokens * saved + (2 * weights if autocast else 0)
    else:
        kept, copies = kept + copies, 0  # the copies are saved for the backward pass

    forward_width = tokens * compute * 3 * shape.intermediate_size + turned
    yield Moment(kept + copies + forward_width, 0, vision_kept)
    yield Moment(kept + copies, _head_forward(shape, step, device), vision_kept)
    # TRL gathers the whole head of a model that FSDP has cut (`weight.full_tensor()`).
    whole_head = 4 * shape.embedding_parameters if spread.sharding == "fsdp2" else 0
    yield Moment(kept, _head_backward(shape, step, autocast, device) + whole_head, vision_kept)
    yield Moment(kept + backward, waits, vision_kept)
    yield Moment(0, waits, vision_kept + vision_layer)
    if trains:
        yield Moment(tokens * stream * hidden, waits + 4 * shape.embedding_parameters, 0)


def _largest_matrix(shape: ModelShape) -> int:
    return max(part.inputs * part.outputs for part in shape.linears)


def _turned_bytes(shape: ModelShape, step: TrainingStep) -> float:
    """A layer in 4 bits is turned to numbers whenever it is used, and the scales of its blocks to float32."""
    return (step.compute_bytes + 4 / 64) * _largest_matrix(shape) if step.in_four_bits else 0


def _backward_bytes(shape: ModelShape, step: TrainingStep, layer: _LayerBytes) -> float:
    """What a layer's backward pass adds to what is saved, where most is there."""
    inner = step.num_tokens * shape.intermediate_size
    # A matrix's gradient is there when the MLP's own gradients have just begun.
    gradients = step.num_tokens * layer.mlp_gradients(shape)
    matrix = (4 * _largest_matrix(shape) + step.compute_bytes * inner) if layer.trains else 0
    # peft turns what an adapter reads to the adapter's float32, and its gradient back.
    recast = 8 * inner if step.frozen_in_bf16 else 0
    return max(gradients, matrix) + max(recast, _turned_bytes(shape, step))


def _autocast_copies(shape: ModelShape, step: TrainingStep) -> float:
    """bf16 copies of float32 weights that autocast keeps: of those that are trained, or saved for a backward pass."""
    if step.lora_rank is not None and step.gradient_checkpointing:
        return 0
    linears: list[Linears] = [] if step.precision == "fp8" else list(shape.linears)  # those go to 8 bits, not kept
    if not step.freeze_vision and step.lora_rank is None:
        linears += [*shape.vision.tower, *shape.vision.projector]
    return 2 * sum(part.num_weights for part in linears)


def _head_rows(step: TrainingStep, device: Device) -> int:
    """Positions that the head scores: the answers', but under GRPO all that TRL's scores without a GPU."""
    if device == "cuda" or step.stage == "sft":  # see `training.head`
        return step.micro_batch * step.completion_tokens
    return step.num_rows * (step.row_tokens - (step.num_shared_rows is None))  # shared rows are shifted already


def _head_forward(shape: ModelShape, step: TrainingStep, device: Device) -> float:
    """What TRL's fused head needs in its forward pass, which lies within autocast."""
    rows = _head_rows(step, device)
    tile_rows, columns = min(rows, _HEAD_ROWS), min(shape.vocab_size, _HEAD_COLUMNS)
    copies = 0 if device == "cuda" else _CPU_FORWARD_COPIES * 4 * tile_rows * columns
    return tile_rows * _HEAD_COLUMNS * step.compute_bytes + copies + 4 * rows * shape.hidden_size


def _head_backward(shape: ModelShape, step: TrainingStep, autocast: bool, device: Device) -> float:
    """The same for its backward pass, where the head's gradient is made in float32."""
    compute, hidden, rows = step.compute_bytes, shape.hidden_size, _head_rows(step, device)
    tile_rows, columns = min(rows, _HEAD_ROWS), min(shape.vocab_size, _HEAD_COLUMNS)
    tile = tile_rows * _HEAD_COLUMNS * compute
    copies = 0 if device == "cuda" else _CPU_BACKWARD_COPIES * 4 * tile_rows * columns
    gradient = 0
    if step.lora_rank is None:  # turned to bf16 at the end where the weights are
        gradient = (6 if compute == 2 and not autocast else 4) * shape.embedding_parameters
    inputs = rows * hidden * (4 + (4 if autocast else compute))
    return tile + copies + gradient + inputs + (2 * columns * hidden if autocast else 0)


def _vision(shape: ModelShape, step: TrainingStep) -> tuple[float, float]:
    """What the image encoder keeps until its backward pass, and what that pass needs for one layer; of a frozen one,
    what its forward pass does."""
    if not step.image_tokens:
        return 0, 0
    vision, compute = shape.vision, step.compute_bytes
    patches = step.num_rows * vision.num_patches(step.image_tokens)
    merged = step.num_rows * step.image_tokens
    pixels = patches * vision.pixels_per_patch * 4
    features = merged * shape.hidden_size * compute
    projected = features + sum(merged * compute * 2 * part.inputs * part.count for part in vision.projector)
    if step.lora_rank is not None or (step.freeze_vision and vision.projector_is_in_tower):
        projected = features
    if step.freeze_vision or step.lora_rank is not None:  # it runs forward alone (`training/frozen.py`)
        forward = patches * compute * (3 * vision.intermediate_size + 3 * vision.hidden_size)
        return pixels + projected, forward - projected  # what is projected is not there yet
    saved = patches * _encoder_layer(vision, compute)
    kept = pixels + (pixels / 2 if compute == 2 else 0) + patches * vision.num_layers * compute * vision.hidden_size
    kept += projected
    gradients = patches * compute * (2 * vision.intermediate_size + 4 * vision.hidden_size)
    if step.gradient_checkpointing:
        return kept, saved + gradients
    return kept + saved * vision.num_layers, gradients


def _encoder_layer(vision: VisionShape, compute: int) -> float:
    """What a layer of the image encoder saves, in bytes a patch, without its own input; its stream is as its layers."""
    width = vision.hidden_size
    norm = (4 if compute < 4 else 0) * width + (4 * width if vision.is_gated and compute == 4 else 0)
    saved = 2 * norm + compute * width
    saved += compute * width * (1 + (2 if vision.is_gated and compute < 4 else 1))
    saved += compute * 7 * width + 4 * vision.num_heads  # queries and keys, their origin with values, output
    return saved + compute * vision.mlp_tensors * vision.intermediate_size
