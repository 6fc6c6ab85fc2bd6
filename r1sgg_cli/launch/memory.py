"""How much memory a run needs, forecast from the model's shape before anything is queued.

A process holds what stays from step to step and, at the worst moment of a step, what comes and goes. In bytes, for P
parameters of which T are trained, N processes, B sequences with C answer tokens, L layers, width H, vocabulary V:

What stays (ZeRO, arXiv 1910.02054, section 3: 16 bytes a parameter for weights, gradients and Adam)
    ddp          4 P weights, 4 T gradients, 8 T Adam; with N > 1 another 4 T, the buckets of DistributedDataParallel
    fsdp2        the same without buckets, over N; the embedding and two layers gathered
    zero2        2 P weights; 2 T gradients and 12 T float32 weights and Adam over N; two reduce buckets
    zero3        2 P + 2 T + 12 T over N; one reduce bucket; gathered weights
    -offload     the optimizer with float32 weights and gradients, 16 T over N, is in host memory; zero3's weights too
  Under bf16 our workers keep float32 weights for ddp (autocast) and fsdp2; DeepSpeed keeps bf16 weights.

What comes and goes: the largest of these moments (activation recomputation, arXiv 2205.05198)
    forward      checkpoints, L·H a token (transformers' `GradientCheckpointingLayer`); under autocast bf16 copies of
                 all trained matrices, which it drops when the forward pass is over; the head's tile
    head         checkpoints; a tile of min(n, 4096) × 32768 logits and the head's gradient, 4·V·H (TRL's
                 `add_fused_lm_head` and `ChunkedLogProbFunction`): logits never exist as a whole. n is B·C on a GPU,
                 all tokens on a CPU, where the copies of a tile count as well
    last layer   checkpoints; all that one layer saves, and the gradients of its MLP; a tied head's gradient waits
    encoder      its checkpoints and what one of its layers saves; a tied head's gradient waits
    embedding    its gradient, 4·V·H, and the tied head's
  Without checkpointing all layers' tensors are there from the first moment on. `_LayerBytes` counts them one by one:
  SDPA saves queries, keys, values and output, and no score matrix; in a padded batch keys and values are repeated for
  every head (transformers' `use_gqa_in_sdpa`).

Rollouts: `generate` takes all sequences of a process and step at once (TRL's `_generate_single_turn`); its worst moment
is the forward pass of the prompts, or the last token with keys and values of all before it. A colocated vLLM has its
share of the card all the time. The images of a step's rollouts stay on the card until its end (`_buffered_inputs`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from r1sgg_cli.config.schema import Precision, Sharding
from r1sgg_cli.launch.shape import Linears, ModelShape

Device = Literal["cuda", "cpu"]
GIB = 1024**3

_HEAD_ROWS, _HEAD_COLUMNS = 4096, 32768  # TRL's TOKEN_CHUNK_SIZE and _CHUNKED_LOGPROB_CHUNK_SIZE
# float32 tensors of a tile's size in TRL's `_forward_tile` and `_backward_tile`, which a GPU's kernels do without
_CPU_FORWARD_COPIES, _CPU_BACKWARD_COPIES = 4.25, 7.25
_REDUCE_BUCKET = 500_000_000  # numbers; DeepSpeed's defaults
_MAX_LIVE = 1_000_000_000
_CUDA_CONTEXT = 0.8 * GIB  # driver context, cuBLAS workspaces
_NCCL = 0.5 * GIB
_FRAGMENTS = 0.05  # of what comes and goes: blocks that the allocator holds and cannot use
_VLLM_OVERHEAD_GIB = 2.0  # activations of its profiling run, CUDA graphs


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStep:
    """What one process computes at once."""

    stage: Literal["sft", "grpo"]
    micro_batch: int
    prompt_tokens: int
    """Of the longest prompt, image tokens included."""
    completion_tokens: int
    """Of the longest answer."""
    image_tokens: int
    """Of the largest image; `ModelShape.image_tokens` knows them."""
    precision: Precision = "bf16"
    lora_rank: int | None = None
    """Adapters on the language model's linear layers are trained; None trains all weights."""
    frozen_in_bf16: bool = False
    """Whether weights that adapters leave alone are kept in bf16."""
    gradient_checkpointing: bool = True
    freeze_vision: bool = False
    has_reference: bool = False
    """Whether a second model stands beside the trained one, for GRPO with `beta`; adapters need none."""

    @property
    def is_padded(self) -> bool:
        """Whether sequences of several lengths share a batch."""
        return self.stage == "grpo" or self.micro_batch > 1

    @property
    def num_tokens(self) -> int:
        """Of all sequences."""
        return self.micro_batch * (self.prompt_tokens + self.completion_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a run is spread over processes."""

    sharding: Sharding = "ddp"
    world_size: int = 1
    processes_per_node: int = 1

    @property
    def is_deepspeed(self) -> bool:
        """Whether weights are kept as DeepSpeed keeps them."""
        return self.sharding.startswith("zero")

    def autocasts(self, precision: Precision) -> bool:
        """Whether float32 weights are turned to bf16 whenever they are used."""
        return self.sharding == "ddp" and precision == "bf16"

    @property
    def is_offloaded(self) -> bool:
        """Whether the optimizer is in host memory."""
        return self.sharding.endswith("-offload")


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutLoad:
    """What sampling adds to a training process."""

    num_sequences: int
    """That a process samples for one step, all of them at once."""
    vllm_bytes: int | None = None
    """What a colocated vLLM takes of the card; None: `generate` samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryForecast:
    """Bytes of one GPU by part, at the worst moment of a step, and of a node's host memory."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    """Of the language model; autocast's copies of weights are among them."""
    logits: int
    """The head's tile and gradient."""
    vision: int
    """The images and the encoder's activations."""
    rollouts: int
    """A colocated vLLM, or what `generate` needs beyond a training step; the step's images."""
    runtime: int
    """CUDA and NCCL, buffers of the sharding, fragmentation."""
    host: int
    """Of a node, for what is offloaded; no part of `total`."""

    @property
    def total(self) -> int:
        """Of one GPU."""
        kept = self.weights + self.gradients + self.optimizer
        return kept + self.activations + self.logits + self.vision + self.rollouts + self.runtime


def forecast_training(
    shape: ModelShape,
    step: TrainingStep,
    spread: Spread | None = None,
    rollouts: RolloutLoad | None = None,
    device: Device = "cuda",
) -> MemoryForecast:
    """What a training process of a run needs. `rollouts` is asked for with GRPO."""
    spread = spread or Spread()
    kept = _kept(shape, step, spread)
    moment = max(_moments(shape, step, spread, device), key=lambda moment: moment.total)
    sampling = 0 if rollouts is None else _rollouts(shape, step, spread, rollouts, moment)
    coming = moment.total + (0 if rollouts is None or rollouts.vllm_bytes is not None else sampling)
    runtime = _buffers(shape, step, spread)
    if device == "cuda":
        runtime += _CUDA_CONTEXT + (_NCCL if spread.world_size > 1 else 0) + _FRAGMENTS * coming
    return MemoryForecast(
        weights=round(kept.weights),
        gradients=round(kept.gradients),
        optimizer=round(kept.optimizer),
        activations=round(moment.activations),
        logits=round(moment.logits),
        vision=round(moment.vision),
        rollouts=round(sampling),
        runtime=round(runtime),
        host=round(kept.host * spread.processes_per_node),
    )


def vllm_bytes(
    shape: ModelShape, num_sequences: int, tokens_per_sequence: int, tensor_parallel: int = 1, weight_bytes: int = 2
) -> int:
    """What a vLLM needs on each of its cards: weights, keys and values of all sequences at once, its own overhead."""
    cache = weight_bytes * shape.kv_elements_per_token * num_sequences * tokens_per_sequence
    return round((weight_bytes * shape.num_parameters + cache) / tensor_parallel + _VLLM_OVERHEAD_GIB * GIB)


def vllm_share(
    shape: ModelShape,
    gpu_memory_gib: float,
    num_sequences: int,
    tokens_per_sequence: int,
    tensor_parallel: int = 1,
    most: float = 0.9,
) -> float:
    """The `gpu_memory_utilization` that holds so many sequences at once, `most` at most, in whole hundredths.

    Where that is too little for all of them vLLM samples them in turns; where it is too little for the weights and one
    sequence it does not start: compare with `vllm_bytes` of one sequence.
    """
    needed = vllm_bytes(shape, num_sequences, tokens_per_sequence, tensor_parallel) / (gpu_memory_gib * GIB)
    return min(most, -(-round(needed * 10_000) // 100) / 100)


@dataclass(frozen=True, slots=True)
class _Kept:
    weights: float
    gradients: float
    optimizer: float
    host: float = 0


def _trained_parameters(shape: ModelShape, step: TrainingStep) -> int:
    if step.lora_rank is not None:
        return sum(part.num_adapters(step.lora_rank) for part in shape.linears)
    return shape.num_parameters - (shape.vision.frozen_parameters() if step.freeze_vision else 0)


def _all_parameters(shape: ModelShape, step: TrainingStep) -> int:
    adapters = _trained_parameters(shape, step) if step.lora_rank is not None else 0
    return shape.num_parameters * (2 if step.has_reference else 1) + adapters


def _kept(shape: ModelShape, step: TrainingStep, spread: Spread) -> _Kept:
    parameters, trained = _all_parameters(shape, step), _trained_parameters(shape, step)
    shards = spread.world_size
    if not spread.is_deepspeed:
        shards = shards if spread.sharding == "fsdp2" else 1
        frozen = (2 if step.frozen_in_bf16 else 4) * (parameters - trained)
        return _Kept((frozen + 4 * trained) / shards, 4 * trained / shards, 8 * trained / shards)
    width = 2 if step.precision == "bf16" else 4
    stage3 = spread.sharding.startswith("zero3")
    weights, gradients = width * parameters / (shards if stage3 else 1), width * trained / shards
    # With float32 weights the optimizer needs no copy of them.
    optimizer = (12 if width == 2 else 8) * trained / shards
    if not spread.is_offloaded:
        return _Kept(weights, gradients, optimizer)
    host = optimizer + 4 * trained / shards + (weights if stage3 else 0)
    return _Kept(0 if stage3 else weights, 0, 0, host)


def _buffers(shape: ModelShape, step: TrainingStep, spread: Spread) -> float:
    """What exchanging weights and gradients needs besides."""
    if spread.world_size == 1 and not spread.is_deepspeed:
        return 0
    trained, width = _trained_parameters(shape, step), _compute_bytes(step)
    match spread.sharding:
        case "ddp":
            return 4 * trained
        case "fsdp2":
            layer = sum(part.num_parameters for part in shape.linears) / shape.num_layers
            return width * (2 * layer + shape.embedding_parameters * (1 if shape.is_tied else 2))
        case "zero2" | "zero2-offload":
            return 2 * width * min(_REDUCE_BUCKET, trained)  # two, for `overlap_comm`
        case _:
            live = min(_all_parameters(shape, step), _MAX_LIVE)
            return width * (min(_REDUCE_BUCKET, trained) + live)


def _compute_bytes(step: TrainingStep) -> int:
    return 2 if step.precision == "bf16" else 4


@dataclass(frozen=True, slots=True)
class _Moment:
    activations: float = 0
    logits: float = 0
    vision: float = 0

    @property
    def total(self) -> float:
        return self.activations + self.logits + self.vision


@dataclass(frozen=True, slots=True)
class _LayerBytes:
    """What a layer saves for its backward pass, in bytes a token, and the width of a number in it."""

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

    def language(self, shape: ModelShape, is_padded: bool) -> float:
        """Of a decoder layer, without its own input."""
        hidden, inner = shape.hidden_size, shape.intermediate_size
        queries, keys = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
        repeated = queries if is_padded else keys
        saved = 2 * self.rms_norm(hidden, self.stream) + self.stream * hidden  # two norms, the stream between them
        saved += self.read(hidden, 3, from_stream=True) + self.read(hidden, 2, from_stream=True)
        if shape.norms_heads:
            saved += self.rms_norm(queries + keys, self.compute) + (self.compute == 4) * 4 * (queries + keys)
        saved += self.compute * (2 * queries + 2 * repeated) + 4 * shape.num_heads
        saved += self.read(queries, 1, from_stream=False) if self.lora_rank is not None else 0
        saved += 3 * self.compute * inner + self.read(inner, 1, from_stream=False)
        return saved

    def language_gradients(self, shape: ModelShape) -> float:
        """What a decoder layer's backward pass adds at its MLP, beyond what the layer saved."""
        skip = (self.stream + self.compute) * shape.hidden_size
        if self.lora_rank is None:
            return skip + 2 * self.compute * shape.intermediate_size
        # An adapter's dropout is in float32, and so are the gradients on its two sides.
        return skip + (self.compute + (8 if self.casts else 0)) * shape.intermediate_size

    def vision(self, shape: ModelShape) -> float:
        """Of a layer of the image encoder, a patch, without its own input."""
        vision = shape.vision
        width, inner, stream = vision.hidden_size, vision.intermediate_size, self.compute
        norm = (4 if stream < 4 else 0) * width + (4 * width if vision.is_gated and stream == 4 else 0)
        saved = 2 * norm + stream * width
        saved += self.compute * width * (1 + (2 if vision.is_gated and self.compute < 4 else 1))
        saved += self.compute * 7 * width + 4 * vision.num_heads  # queries and keys, their origin with values, output
        return saved + self.compute * vision.mlp_tensors * inner


def _moments(shape: ModelShape, step: TrainingStep, spread: Spread, device: Device) -> Iterable[_Moment]:
    """The moments of a step one of which needs most."""
    tokens, compute = step.num_tokens, _compute_bytes(step)
    autocast = spread.autocasts(step.precision) and not step.frozen_in_bf16
    stream = 4 if autocast else compute
    trains = step.lora_rank is None
    mask = 1 if device == "cuda" else 4
    layer = _LayerBytes(compute, stream, trains, step.lora_rank, mask)
    saved, hidden = layer.language(shape, step.is_padded), shape.hidden_size

    ends: float = tokens * (3 * stream * hidden + 2 * stream * shape.head_dim)  # the last norm, rotary angles
    ends += step.is_padded * step.micro_batch * (step.prompt_tokens + step.completion_tokens) ** 2
    kept = ends + tokens * shape.num_layers * stream * hidden
    if not step.gradient_checkpointing:
        kept += tokens * shape.num_layers * saved
    vision_kept, vision_layer = _vision(shape, step, autocast)

    weights = sum(part.num_weights for part in shape.linears) / shape.num_layers
    largest = max(part.inputs * part.outputs for part in shape.linears)
    waits = 4 * shape.embedding_parameters if shape.is_tied and trains else 0
    copies = _autocast_copies(shape, step) if autocast else 0.0
    # A matrix's gradient is there when the MLP's own gradients have just begun.
    gradients = tokens * layer.language_gradients(shape)
    matrix = (4 * largest + tokens * compute * shape.intermediate_size) if trains else 0
    # peft turns what an adapter reads to the adapter's float32, and its gradient back.
    recast = 8 * tokens * shape.intermediate_size if step.frozen_in_bf16 else 0
    backward = max(gradients, matrix) + recast
    if step.gradient_checkpointing:
        backward += tokens * saved + (2 * weights if autocast else 0)
    else:
        kept, copies = kept + copies, 0  # the copies are saved for the backward pass

    forward_width = tokens * compute * 3 * shape.intermediate_size
    yield _Moment(kept + copies + forward_width, 0, vision_kept)
    yield _Moment(kept + copies, _head_forward(shape, step, device), vision_kept)
    # TRL gathers the whole head of a model that FSDP has cut (`weight.full_tensor()`).
    whole_head = 4 * shape.embedding_parameters if spread.sharding == "fsdp2" else 0
    yield _Moment(kept, _head_backward(shape, step, autocast, device) + whole_head, vision_kept)
    yield _Moment(kept + backward, waits, vision_kept)
    yield _Moment(0, waits, vision_kept + vision_layer)
    if trains:
        yield _Moment(tokens * stream * hidden, waits + 4 * shape.embedding_parameters, 0)


def _autocast_copies(shape: ModelShape, step: TrainingStep) -> float:
    """bf16 copies of float32 weights that autocast keeps: of those that are trained, or saved for a backward pass."""
    if step.lora_rank is not None and step.gradient_checkpointing:
        return 0
    linears: list[Linears] = list(shape.linears)
    if not step.freeze_vision and step.lora_rank is None:
        linears += [*shape.vision.tower, *shape.vision.projector]
    return 2 * sum(part.num_weights for part in linears)


def _head_rows(step: TrainingStep, device: Device) -> int:
    """Positions that TRL's fused head scores: the answers' on a GPU, all of them elsewhere."""
    per_sequence = step.completion_tokens
    if device == "cpu":
        per_sequence += step.prompt_tokens - 1
    return step.micro_batch * per_sequence


def _head_forward(shape: ModelShape, step: TrainingStep, device: Device) -> float:
    """What TRL's fused head needs in its forward pass, which lies within autocast."""
    rows = _head_rows(step, device)
    tile_rows, columns = min(rows, _HEAD_ROWS), min(shape.vocab_size, _HEAD_COLUMNS)
    copies = 0 if device == "cuda" else _CPU_FORWARD_COPIES * 4 * tile_rows * columns
    return tile_rows * _HEAD_COLUMNS * _compute_bytes(step) + copies + 4 * rows * shape.hidden_size


def _head_backward(shape: ModelShape, step: TrainingStep, autocast: bool, device: Device) -> float:
    """The same for its backward pass, where the head's gradient is made in float32."""
    compute, hidden, rows = _compute_bytes(step), shape.hidden_size, _head_rows(step, device)
    tile_rows, columns = min(rows, _HEAD_ROWS), min(shape.vocab_size, _HEAD_COLUMNS)
    tile = tile_rows * _HEAD_COLUMNS * compute
    copies = 0 if device == "cuda" else _CPU_BACKWARD_COPIES * 4 * tile_rows * columns
    gradient = 0
    if step.lora_rank is None:  # turned to bf16 at the end where the weights are
        gradient = (6 if compute == 2 and not autocast else 4) * shape.embedding_parameters
    inputs = rows * hidden * (4 + (4 if autocast else compute))
    return tile + copies + gradient + inputs + (2 * columns * hidden if autocast else 0)


def _vision(shape: ModelShape, step: TrainingStep, autocast: bool) -> tuple[float, float]:
    """What the image encoder keeps until its backward pass, and what that pass needs for one layer."""
    if not step.image_tokens:
        return 0, 0
    vision, compute = shape.vision, _compute_bytes(step)
    patches = step.micro_batch * vision.num_patches(step.image_tokens)
    merged = step.micro_batch * step.image_tokens
    pixels = patches * vision.pixels_per_patch * 4
    features = merged * shape.hidden_size * compute
    is_frozen = step.freeze_vision or step.lora_rank is not None
    if is_frozen and not step.gradient_checkpointing:
        return pixels + features, 0
    # With checkpointing transformers asks for the gradient of the patches (`enable_input_require_grads`), so that a
    # frozen encoder keeps its checkpoints and runs backwards, too.
    layer = _LayerBytes(compute, 4 if autocast else compute, trains=not is_frozen, lora_rank=None, mask=0)
    saved = patches * layer.vision(shape)
    kept = pixels + (pixels / 2 if compute == 2 else 0) + patches * vision.num_layers * compute * vision.hidden_size
    kept += features + sum(merged * compute * 2 * part.inputs * part.count for part in vision.projector)
    gradients = patches * compute * (2 * vision.intermediate_size + 4 * vision.hidden_size)
    if step.gradient_checkpointing:
        return kept, saved + gradients
    return kept + saved * vision.num_layers, gradients


def _rollouts(shape: ModelShape, step: TrainingStep, spread: Spread, rollouts: RolloutLoad, moment: _Moment) -> float:
    """What sampling needs beyond the training step, and the images of all its sequences, which stay for the step."""
    vision, count = shape.vision, rollouts.num_sequences
    images = count * vision.num_patches(step.image_tokens) * vision.pixels_per_patch * 4 if step.image_tokens else 0
    if rollouts.vllm_bytes is not None:
        return images + rollouts.vllm_bytes
    compute = _compute_bytes(step)
    autocast = spread.autocasts(step.precision) and not step.frozen_in_bf16
    stream = 4 if autocast else compute
    # Under autocast the rotary angles make keys float32.
    cache = count * shape.kv_elements_per_token * (stream + compute) / 2
    prompts = count * step.prompt_tokens
    working = prompts * (3 * compute * shape.intermediate_size + 3 * stream * shape.hidden_size)
    prefill = cache * step.prompt_tokens + working
    end = cache * (step.prompt_tokens + step.completion_tokens) + 4 * 4 * count * shape.vocab_size
    copies = 2 * shape.num_parameters if autocast else 0
    gathered = compute * shape.num_parameters if spread.sharding.startswith("zero3") else 0
    return images + max(0.0, max(prefill, end) + copies + gathered - moment.total)
