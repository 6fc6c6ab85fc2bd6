"""What weights in 4 bits (`lora.quantize`) do not go together with."""


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
