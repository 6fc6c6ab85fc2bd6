"""Gradients of DistributedDataParallel in one copy: each is a view of the bucket in which it is exchanged.

accelerate leaves torch's `gradient_as_bucket_view` off, and every process then holds all gradients twice: 8 GB of a 2B
model, 30 of a 7B. The option alone saves nothing where gradients are accumulated: dropped at the end of a step
(`set_to_none`), they are made anew beside their buckets, and only the last micro-batch puts them there. So they exist
before the model is wrapped, and are set to zero instead of dropped. What is learned is the same to the last bit.
"""

from functools import partial
from typing import Any

import torch
from accelerate.utils import DistributedDataParallelKwargs
from torch.nn.parallel import DistributedDataParallel
from transformers import Trainer


class _GradientsInBuckets(DistributedDataParallelKwargs):
    """accelerate's options of DistributedDataParallel, which it also tells when the model has been wrapped."""

    def register_comm_hook(self, model: DistributedDataParallel) -> None:
        """Called with the wrapped model."""
        super().register_comm_hook(model)
        assert model.gradient_as_bucket_view
        model.zero_grad = partial(model.zero_grad, set_to_none=False)


def keep_gradients_in_buckets(trainer: Trainer) -> None:
    """Let the trainer's processes hold their gradients once. Before `train`; nothing where the model is not wrapped."""
    accelerator: Any = trainer.accelerator
    if accelerator.num_processes == 1 or trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
        return
    options = {**vars(accelerator.ddp_handler), "gradient_as_bucket_view": True}
    accelerator.ddp_handler = _GradientsInBuckets(**options)
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)  # becomes a view when the model is wrapped
