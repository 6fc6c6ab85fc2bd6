"""How much memory a run needs, forecast from the model's shape before anything is queued.

A process holds what stays from step to step and, at the worst moment of a step, what comes and goes. In bytes, for P
parameters of which T are trained, N processes, B sequences with C answer tokens, L layers, width H, vocabulary V. The
answers of GRPO to one prompt share a row of tokens, in which prompt and image stand once.

What stays (ZeRO, arXiv 1910.02054, section 3: 16 bytes a parameter for weights, gradients and Adam)
    ddp          4 P weights, 4 T gradients, which lie in the buckets of DistributedDataParallel, 8 T Adam; with N > 1
                 before a forward pass of the second step another 4 T, when buckets are made anew beside the old ones
    fsdp2        the same over N; the embedding and two layers gathered
    zero2        2 P weights; 2 T gradients and 12 T float32 weights and Adam over N; two reduce buckets
    zero3        2 P + 2 T + 12 T over N; one reduce bucket; gathered weights
    -offload     the optimizer with float32 weights and gradients, 16 T over N, is in host memory; zero3's weights too
  Before the first step each process has all weights in host memory, as they are loaded; under zero3 its share. After
  the last one, the first process merges adapters into 4 P of weights there.
  With 4-bit weights (QLoRA) the language model's matrices take 1/2 + 1/64 + 4/16384 bytes a weight: NF4 in blocks of
  64, a byte for the scale of each, float32 for the scale of 256 of those. The largest is turned to numbers when used.
  Under bf16 our workers keep float32 weights for ddp (autocast) and fsdp2; DeepSpeed keeps bf16 weights.

What comes and goes: the largest of these moments (activation recomputation, arXiv 2205.05198)
    forward      checkpoints, L·H a token (transformers' `GradientCheckpointingLayer`); under autocast bf16 copies of
                 all trained matrices, which it drops when the forward pass is over; the head's tile
    head         checkpoints; a tile of min(n, 4096) × 32768 logits and the head's gradient, 4·V·H (TRL's
                 `add_fused_lm_head` and `ChunkedLogProbFunction`): logits never exist as a whole. n is B·C, on a
                 CPU under GRPO all tokens; the copies of a tile count there as well
    last layer   checkpoints; all that one layer saves, and the gradients of its MLP; a tied head's gradient waits
    encoder      its checkpoints and what one of its layers saves; a tied head's gradient waits
    embedding    its gradient, 4·V·H, and the tied head's
  Without checkpointing all layers' tensors are there from the first moment on. `moments.py` counts them one by one:
  SDPA saves queries, keys, values and output, and no score matrix; in a padded batch keys and values are repeated for
  every head (transformers' `use_gqa_in_sdpa`). A mask of shared rows is of the square of a row's length.

Rollouts: `generate` takes all sequences of a process and step at once (TRL's `_generate_single_turn`); its worst moment
is the forward pass of the prompts, or the last token with keys and values of all before it. A colocated vLLM has its
share of the card all the time. The images of a step's rollouts stay on the card until its end (`_buffered_inputs`).
Where transformers generates, an evaluation does it as well, under SFT alone; its images go with it.
"""

from dataclasses import dataclass

from r1sgg_cli.launch.moments import step_moments
from r1sgg_cli.launch.shape import Linears, ModelShape
from r1sgg_cli.launch.workload import Device, RolloutLoad, Spread, TrainingStep

GIB = 1024**3
"""Bytes."""

_REDUCE_BUCKET = 500_000_000  # numbers; DeepSpeed's defaults
_MAX_LIVE = 1_000_000_000
# Assumed, not measured; `r1sgg doctor --measure` compares the whole on a card.
_CUDA_CONTEXT = 0.8 * GIB  # driver context, cuBLAS workspaces
_NCCL = 0.5 * GIB
_FRAGMENTS = 0.05  # of what comes and goes: blocks that the allocator holds and cannot use
_VLLM_OVERHEAD = 2 * GIB  # activations of its profiling run, CUDA graphs
_VLLM_WIDTH = 2  # bytes of a weight, key or value in bf16
_MOST_VLLM_SHARE = 0.9  # the rest is left to CUDA and the training process


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
    """Of a node, for weights while they are loaded or merged, or for what is offloaded; no part of `total`."""

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
    """Bytes that a training process of a run needs, by part. `rollouts` is asked for with GRPO, and for evaluations."""
    spread = spread or Spread()
    kept = _kept(shape, step, spread)
    moment = max(step_moments(shape, step, spread, device), key=lambda moment: moment.total)
    generates = rollouts is not None and rollouts.vllm_bytes is None
    more = max(0.0, _generating(shape, step, spread, rollouts) - moment.total) if rollouts and generates else 0
    sampling = more + (_staying(shape, step, rollouts) if rollouts else 0)
    coming = moment.total + (sampling if generates else 0)
    runtime = _buffers(shape, step, spread, moment.total + more)
    host = max(kept.host, _loaded(shape, step, spread, device))
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
        host=round(max(host * spread.processes_per_node, _merged(shape, step, device))),
    )


def vllm_bytes(shape: ModelShape, num_sequences: int, tokens_per_sequence: int, num_cards: int = 1) -> int:
    """Bytes that a vLLM needs on all its cards: bf16 weights, keys and values of all sequences at once, and its own
    overhead on each."""
    cache = shape.kv_elements_per_token * num_sequences * tokens_per_sequence
    return _VLLM_WIDTH * (shape.num_parameters + cache) + num_cards * _VLLM_OVERHEAD


def vllm_share(shape: ModelShape, gpu_memory_gib: float, num_sequences: int, tokens_per_sequence: int) -> float:
    """The `gpu_memory_utilization` that holds so many sequences at once, 0.9 at most, in whole hundredths.

    Where that is too little for all of them vLLM samples them in turns; where it is too little for the weights and one
    sequence it does not start: compare with `vllm_bytes` of one sequence.
    """
    needed = vllm_bytes(shape, num_sequences, tokens_per_sequence) / (gpu_memory_gib * GIB)
    return min(_MOST_VLLM_SHARE, -(-round(needed * 10_000) // 100) / 100)


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
        frozen = _frozen_bytes(shape, step, parameters - trained)
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


def _frozen_bytes(shape: ModelShape, step: TrainingStep, parameters: int) -> float:
    width = 2 if step.frozen_in_bf16 else 4
    if not step.in_four_bits:
        return width * parameters
    quantized = sum(part.num_weights for part in shape.linears)
    return width * (parameters - quantized) + sum(_nf4_bytes(part) for part in shape.linears)


def _nf4_bytes(part: Linears) -> int:
    """Half a byte a weight, a byte for the scale of 64 of them, and four for the scale of 256 scales."""
    weights = part.inputs * part.outputs
    blocks = -(-weights // 64)
    return part.count * (-(-weights // 2) + blocks + 4 * -(-blocks // 256))


def _loaded(shape: ModelShape, step: TrainingStep, spread: Spread, device: Device) -> float:
    """Host memory of a process that reads its weights from a checkpoint, before they go to a card."""
    if device == "cpu" or spread.sharding.startswith("zero3") or step.in_four_bits:
        return 0  # weights in 4 bits are made one by one, on the card
    return (2 if step.frozen_in_bf16 else 4) * shape.num_parameters


def _merged(shape: ModelShape, step: TrainingStep, device: Device) -> float:
    """Host memory of the one process that puts adapters into the original weights in the end (`save_merged`)."""
    return 4 * shape.num_parameters if step.lora_rank is not None and device == "cuda" else 0


def _buffers(shape: ModelShape, step: TrainingStep, spread: Spread, coming: float) -> float:
    """What exchanging weights and gradients needs besides; `coming` comes and goes at another moment."""
    if spread.world_size == 1 and not spread.is_deepspeed:
        return 0
    trained, width = _trained_parameters(shape, step), step.compute_bytes
    match spread.sharding:
        case "ddp":
            # Gradients lie in the buckets in which they are exchanged (`training/buckets.py`). Once, before a forward
            # pass, new ones are made beside them: what a step needs later has room for them, or they count.
            return max(0.0, 4 * trained - coming)
        case "fsdp2":
            layer = sum(part.num_parameters for part in shape.linears) / shape.num_layers
            return width * (2 * layer + shape.embedding_parameters * (1 if shape.is_tied else 2))
        case "zero2" | "zero2-offload":
            return 2 * width * min(_REDUCE_BUCKET, trained)  # two, for `overlap_comm`
        case _:
            live = min(_all_parameters(shape, step), _MAX_LIVE)
            return width * (min(_REDUCE_BUCKET, trained) + live)


def _staying(shape: ModelShape, step: TrainingStep, rollouts: RolloutLoad) -> float:
    """A colocated vLLM, and the images of all sequences that are sampled, which stay for the step."""
    images = _image_bytes(shape, step, rollouts) if step.stage == "grpo" else 0
    return images + (rollouts.vllm_bytes or 0)


def _image_bytes(shape: ModelShape, step: TrainingStep, rollouts: RolloutLoad) -> int:
    patches = rollouts.num_sequences * shape.vision.num_patches(step.image_tokens) if step.image_tokens else 0
    return patches * shape.vision.pixels_per_patch * 4


def _generating(shape: ModelShape, step: TrainingStep, spread: Spread, rollouts: RolloutLoad) -> float:
    """What comes and goes while `generate` samples."""
    count, compute = rollouts.num_sequences, step.compute_bytes
    autocast = spread.autocasts(step)
    stream = 4 if autocast else compute
    # Under autocast the rotary angles make keys float32.
    cache = count * shape.kv_elements_per_token * (stream + compute) / 2
    prompts = count * step.prompt_tokens
    working = prompts * (3 * compute * shape.intermediate_size + 3 * stream * shape.hidden_size)
    prefill = cache * step.prompt_tokens + working
    end = cache * (step.prompt_tokens + step.completion_tokens) + 4 * 4 * count * shape.vocab_size
    copies = 2 * shape.num_parameters if autocast else 0
    gathered = compute * shape.num_parameters if spread.sharding.startswith("zero3") else 0
    images = _image_bytes(shape, step, rollouts) if step.stage == "sft" else 0
    return max(prefill, end) + copies + gathered + images
