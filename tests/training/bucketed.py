"""Two processes that train one small model twice, with gradients beside DDP's buckets and inside them.

Each writes what it saw to FOLDER/RANK.json: losses, gradient norms and weights, and in how many pieces of memory, of
how many bytes, the gradients lie after each micro-batch.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from r1sgg_cli.training.buckets import keep_gradients_in_buckets

NUM_STEPS, ACCUMULATION = 3, 3


class Net(torch.nn.Module):
    """Six layers, the first of them frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(*[torch.nn.Linear(32, 32) for _ in range(6)])
        self.layers[0].requires_grad_(False)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """A loss."""
        return {"loss": self.layers(x).tanh().pow(2).mean()}


class Watched(Trainer):
    """Notes the memory of the gradients after each micro-batch."""

    def training_step(self, *args: Any, **options: Any) -> torch.Tensor:
        """As it is."""
        loss = super().training_step(*args, **options)
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        pieces = {g.untyped_storage().data_ptr(): g.untyped_storage().nbytes() for g in gradients}
        SEEN.append((len(pieces), sum(pieces.values())))
        return loss


SEEN: list[tuple[int, int]] = []


def trained(folder: Path, in_buckets: bool) -> dict[str, Any]:
    """What one training came to."""
    torch.manual_seed(0)
    SEEN.clear()
    data = [{"x": torch.randn(32)} for _ in range(2 * 2 * ACCUMULATION * NUM_STEPS)]
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=NUM_STEPS,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=ACCUMULATION,
        ddp_find_unused_parameters=False,
        logging_steps=1,
        max_grad_norm=0.01,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
    )
    trainer = Watched(model=Net(), args=arguments, train_dataset=data)
    if in_buckets:
        keep_gradients_in_buckets(trainer)
    trainer.train()
    assert trainer.model_wrapped.gradient_as_bucket_view == in_buckets
    weights = [weight.double().sum().item() for weight in trainer.model.parameters()]
    logs = [(row["loss"], row["grad_norm"]) for row in trainer.state.log_history if "loss" in row]
    return {"logs": logs, "weights": weights, "seen": list(SEEN)}


if __name__ == "__main__":
    out = Path(sys.argv[1])
    told = [trained(out, in_buckets) for in_buckets in (False, True)]
    (out / f"{os.environ['RANK']}.json").write_text(json.dumps(told), encoding="utf-8")
