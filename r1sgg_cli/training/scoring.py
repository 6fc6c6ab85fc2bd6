"""A GRPO step's answers run through the model together with those to the same prompt.

TRL shuffles a step's answers before it cuts them into micro-batches. Here they stay in order, so that answers to one
prompt meet in a micro-batch; that changes nothing that is learned, for all of them are in one update.
"""

from contextlib import nullcontext
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from trl.trainer import grpo_trainer

from r1sgg_cli.training.images_once import each_image_once
from r1sgg_cli.training.shared_prompts import Sequences, runs_of_one_prompt, share_rows
from r1sgg_cli.training.standing_in import standing_in

_TAKES_ANY_MASK = ("sdpa", "eager")
"""Implementations of attention; the others know only of packed rows that do not share anything."""

Scores = tuple[Tensor, Tensor | None, Tensor | None]
"""Log-probabilities and entropies (sequences, answer tokens), and the load-balancing loss of experts."""


class SharesPrompts:
    """Mixed into TRL's trainer, before it: prompt and image run once for all of a micro-batch's answers to them."""

    model: Any
    accelerator: Any
    processing_class: Any

    @property
    def shares_prompts(self) -> bool:
        """Whether model and attention allow it: positions that can be asked for, a mask of any form, no window."""
        text = self.model.config.get_text_config()
        slides = "sliding_attention" in (getattr(text, "layer_types", None) or ())
        knows_positions = hasattr(self._knows_positions(), "get_rope_index")
        return knows_positions and not slides and text._attn_implementation in _TAKES_ANY_MASK

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        with standing_in(grpo_trainer, "shuffle_sequence_dict", _in_order):
            return super()._prepare_inputs(generation_batch)  # type: ignore[misc]

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        with each_image_once(self.processing_class) if self.shares_prompts else nullcontext():
            return super()._generate_and_score_completions(inputs)  # type: ignore[misc]

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **others: Any,
    ) -> Scores:
        """Log-probabilities and entropies of the last `logits_to_keep` tokens of each sequence."""
        if not self.shares_prompts:
            return super()._get_per_token_logps_and_entropies(  # type: ignore[misc]
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, **others
            )
        grids = others["image_grid_thw"]
        images = torch.split(others["pixel_values"], grids.prod(dim=1).tolist())
        scores = []
        for start in range(0, len(input_ids), batch_size or len(input_ids)):
            part = slice(start, start + (batch_size or len(input_ids)))
            types = others["mm_token_type_ids"][part]
            sequences = Sequences(input_ids[part], attention_mask[part], types, grids[part], logits_to_keep)
            scores.append(self._scores(model, sequences, images[part]))
        log_probs, entropies = zip(*scores, strict=True)
        return torch.cat(log_probs), torch.cat(entropies) if compute_entropy else None, None

    def _scores(self, model: Any, sequences: Sequences, images: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        runs = runs_of_one_prompt(sequences, images)
        rows = share_rows(sequences, runs, self._positions)
        # A row of one answer needs no mask of its own: what is padded stands behind it.
        mask = rows.attention_mask(self._attention_dtype()) if len(runs) < len(images) else None
        first = [run.start for run in runs]
        with self.accelerator.autocast():
            outputs = model(
                input_ids=rows.input_ids,
                attention_mask=mask,
                position_ids=rows.positions,
                mm_token_type_ids=rows.mm_token_types,
                pixel_values=torch.cat([images[number] for number in first]),
                image_grid_thw=sequences.grids[first],
                shift_labels=rows.labels,
                fused_lm_head=True,
            )
        entropy = None if outputs.entropy is None else rows.of_sequences(outputs.entropy)  # a reference model has none
        return rows.of_sequences(outputs.log_probs), entropy

    def _attention_dtype(self) -> torch.dtype:
        """That of queries and keys, which the mask must have."""
        return torch.bfloat16 if self.accelerator.mixed_precision == "bf16" else self.model.dtype

    def _positions(self, prompt: Tensor, mm_token_types: Tensor, grid: Tensor) -> Tensor:
        positions, _ = self._knows_positions().get_rope_index(
            prompt[None], mm_token_type_ids=mm_token_types[None], image_grid_thw=grid[None]
        )
        return positions[:, 0]

    def _knows_positions(self) -> Any:
        """Rotary positions need no weights, so that they can be asked of the model as it was before it was wrapped."""
        model = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        return model.model


def _in_order(sequences: Any) -> Any:
    return sequences
