"""An image encoder of which nothing is trained runs forward alone: `freeze_vision`, and adapters of the language model.

With gradient checkpointing transformers 5.17 asks for the gradient of every input, that of the encoder's patches among
them (`enable_input_require_grads`; Qwen3-VL's alone are overlooked). A frozen encoder would keep the inputs of its
layers, run forward a second time, and backward, for a gradient that nothing takes.
"""

from typing import Any

import torch

from r1sgg_cli.models.families import FAMILIES


def run_frozen_vision_forward_alone(model: Any) -> None:
    """Let the image encoder record nothing for a backward pass if none of its weights is trained."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    encoder = base.model.get_submodule(FAMILIES[base.config.model_type].vision_module)
    if not any(parameter.requires_grad for parameter in encoder.parameters()):
        encoder.forward = torch.no_grad()(encoder.forward)
