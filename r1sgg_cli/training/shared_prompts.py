"""The answers to one prompt share one pass of it through the model.

A GRPO step scores several answers to each prompt. TRL gives each answer a row of its own, so that prompt and image run
through the model as often as there are answers. Here the answers of a micro-batch to one prompt share a row:

    prompt less its last token | that token, answer 1 | that token, answer 2 | ...

Attention lets an answer see the prompt and itself, and its tokens have the positions that they would have alone: the
log-probabilities and gradients are those of separate rows, for prompt and image once instead of once an answer.
The prompt's last token stands before each answer because each answer's first token is predicted from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from r1sgg_cli.training.head import IGNORED

ROW_MULTIPLE = 16
"""Rows are padded to this: CUDA's attention kernels copy a mask whose rows are not aligned, in each layer."""

PromptPositions = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(token ids, image token types, image grid) of one prompt -> its rotary positions (3, tokens)."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """Prompts with one answer each, as TRL lays them out: prompts padded on the left, answers on the right."""

    input_ids: Tensor
    """(sequences, tokens)"""
    attention_mask: Tensor
    """(sequences, tokens)"""
    mm_token_types: Tensor
    """(sequences, tokens): 1 on image tokens."""
    grids: Tensor
    """(sequences, 3): patches of each sequence's image in time, height and width."""
    num_answer_tokens: int
    """How many of the tokens are the answers'."""

    @property
    def prompt_end(self) -> int:
        """Where the answers begin."""
        return self.input_ids.shape[1] - self.num_answer_tokens


@dataclass(frozen=True, slots=True)
class SharedRows:
    """The same sequences in rows, one for each run of sequences that have their prompt in common."""

    input_ids: Tensor
    """(rows, length)"""
    labels: Tensor
    """(rows, length): the token that each position predicts, -100 where it is none of an answer's."""
    positions: Tensor
    """(3, rows, length)"""
    mm_token_types: Tensor
    """(rows, length)"""
    segments: Tensor
    """(rows, length): 0 on the prompt, n on its n-th answer, -1 behind the last."""
    places: Tensor
    """(sequences, answer tokens): where, in the rows laid end to end, each token is predicted; -1 for none."""

    def attention_mask(self, dtype: torch.dtype) -> Tensor:
        """(rows, 1, length, length): what is added to attention's logits, 0 or nearly minus infinity."""
        return mask_of(self.segments, dtype)

    def of_sequences(self, values: Tensor) -> Tensor:
        """(rows, length) values of the predicting positions as (sequences, answer tokens), 0 for none."""
        return torch.where(self.places < 0, 0.0, values.flatten()[self.places.clamp(min=0)])


def mask_of(segments: Tensor, dtype: torch.dtype) -> Tensor:
    """The attention mask (rows, 1, length, length) of rows with these segments: each sees the prompt and itself."""
    asking, asked = segments[:, :, None], segments[:, None, :]
    may_see = ((asked == 0) | (asked == asking)).tril()
    mask = torch.zeros(may_see.shape, dtype=dtype, device=may_see.device)
    return mask.masked_fill_(~may_see, torch.finfo(dtype).min)[:, None]


def runs_of_one_prompt(sequences: Sequences, images: Sequence[Tensor]) -> list[range]:
    """Neighbouring sequences that have prompt and image in common, as ranges of their numbers.

    `images` has the pixel values of each sequence's image.
    """
    prompts = torch.stack([sequences.input_ids, sequences.attention_mask], dim=2)[:, : sequences.prompt_end]
    same_text = (prompts[1:] == prompts[:-1]).flatten(start_dim=1).all(dim=1).tolist()
    starts = [0]
    for number, same in enumerate(same_text, start=1):
        if not same or not torch.equal(images[number], images[number - 1]):
            starts.append(number)
    return [range(start, end) for start, end in zip(starts, [*starts[1:], len(images)], strict=True)]


def share_rows(sequences: Sequences, runs: Sequence[range], positions_of: PromptPositions) -> SharedRows:
    """Pack the sequences of each run into one row."""
    end = sequences.prompt_end
    lengths = sequences.attention_mask[:, end:].sum(dim=1).tolist()
    starts = (end - sequences.attention_mask[:, :end].sum(dim=1)).tolist()
    rows = [_row(sequences, run, starts[run.start], lengths, positions_of) for run in runs]
    longest = -(-max(len(row.ids) for row in rows) // ROW_MULTIPLE) * ROW_MULTIPLE
    places = torch.full((len(lengths), sequences.num_answer_tokens), -1)
    for number, (row, run) in enumerate(zip(rows, runs, strict=True)):
        for sequence, place in zip(run, row.places, strict=True):
            places[sequence, : lengths[sequence]] = number * longest + place + torch.arange(lengths[sequence])
    return SharedRows(
        input_ids=_stacked([row.ids for row in rows], longest, 0),
        labels=_stacked([row.labels for row in rows], longest, IGNORED),
        positions=_stacked([row.positions for row in rows], longest, 0).movedim(0, 1),
        mm_token_types=_stacked([row.mm_token_types for row in rows], longest, 0),
        segments=_stacked([row.segments for row in rows], longest, -1),
        places=places.to(sequences.input_ids.device),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    ids: Tensor
    labels: Tensor
    positions: Tensor
    mm_token_types: Tensor
    """Of the prompt alone."""
    segments: Tensor
    places: list[int]
    """Where each answer begins."""


def _row(sequences: Sequences, run: range, start: int, lengths: Sequence[int], positions_of: PromptPositions) -> _Row:
    """`start` is where the run's prompt begins, `lengths` are all sequences' numbers of answer tokens."""
    first, end = run.start, sequences.prompt_end
    prompt, types = sequences.input_ids[first, start:end], sequences.mm_token_types[first, start:end]
    positions = positions_of(prompt, types, sequences.grids[first])
    parts = [(prompt[:-1], torch.full_like(prompt[:-1], IGNORED), positions[:, :-1], torch.zeros_like(prompt[:-1]))]
    places, length = [], len(prompt) - 1
    for number, sequence in enumerate(run, start=1):
        tokens = sequences.input_ids[sequence, end - 1 : end + lengths[sequence]]
        steps = torch.arange(lengths[sequence], device=tokens.device)
        parts.append((tokens[:-1], tokens[1:], positions[:, -1:] + steps, torch.full_like(tokens[1:], number)))
        places.append(length)
        length += lengths[sequence]
    ids, labels, all_positions, segments = (torch.cat(tensors, dim=-1) for tensors in zip(*parts, strict=True))
    return _Row(ids, labels, all_positions, types[:-1], segments, places)


def _stacked(rows: Sequence[Tensor], length: int, filling: int) -> Tensor:
    return torch.stack([pad(row, (0, length - row.shape[-1]), value=filling) for row in rows])
