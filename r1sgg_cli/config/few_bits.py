"""What weights in 4 bits (`lora.quantize`) and products in 8 (`precision: fp8`) do not go together with."""


def refused_with_four_bits(sharding: str, engine: str) -> str | None:
    """Why adapters on 4-bit weights cannot be trained so, and the way out; None if they can."""
    if sharding != "ddp":
        return (
            f"`lora.quantize` keeps all 4-bit weights on each GPU, which `sharding: {sharding}` would cut or convert; "
            "use `--set preset.sharding=ddp`"
        )
    if engine != "transformers":
        return (
            "`lora.quantize` does not go with vLLM: to synchronise, TRL would merge the adapters into 4-bit weights, "
            "which rounds both; use `--set preset.rollouts=transformers`, or `--set lora.quantize=null`"
        )
    return None


def refused_with_fp8(stage: str, sharding: str, *, has_adapters: bool) -> str | None:
    """Why a run cannot compute in FP8, and the way out; None if it can."""
    if stage == "grpo":
        return (
            "`precision: fp8` is for `sft`: in GRPO the trained probabilities would differ from the sampled ones by "
            "more than an update changes them; use `--set preset.precision=bf16`"
        )
    if has_adapters:
        return "`precision: fp8` is for training all weights, not for adapters; use `--set preset.precision=bf16`"
    if sharding not in ("ddp", "fsdp2"):
        return f"`precision: fp8` does not go with `sharding: {sharding}`; use `--set preset.sharding=fsdp2`"
    return None
