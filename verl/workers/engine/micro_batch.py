"""A micro-batch on the device: sequences end to end without padding, and which positions predict the response."""
import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from verl.utils.ragged import Ragged
from verl.workers.engine.attention import runs_of_equal_length


@dataclass(frozen=True)
class MicroBatch:
    """input_ids, position_ids [1, total]; `predictors` [labels] indexes the tokens whose hidden state predicts
    `labels`.
    """
    input_ids: Tensor
    position_ids: Tensor
    attention_kwargs: dict[str, Any]
    predictors: Tensor
    labels: Tensor
    response_lengths: np.ndarray

    @classmethod
    def pack(cls, prompts: Ragged, responses: Ragged, device: torch.device) -> "MicroBatch":
        """Rows of prompt + response ids, both [rows, (length)]. Every prompt needs at least one token.

        Without rows, one token without a label runs: the weights are gathered and every gradient (zero) is reduced in
        step with the ranks that have rows.
        """
        prompt_lengths, response_lengths = prompts.lengths, responses.lengths
        if not len(prompts):
            filler = cls.pack(Ragged.from_rows([[0]]), Ragged.from_rows([[]], np.int64), device)
            return dataclasses.replace(filler, response_lengths=response_lengths)
        assert (prompt_lengths > 0).all(), "an empty prompt leaves nothing to predict the first response token from"
        lengths = prompt_lengths + response_lengths
        ends = np.cumsum(lengths)
        starts = ends - lengths
        is_response = _spans(starts + prompt_lengths, response_lengths)
        tokens = np.empty(int(lengths.sum()), np.int64)
        tokens[is_response] = responses.values
        tokens[_spans(starts, prompt_lengths)] = prompts.values
        positions = np.arange(len(tokens)) - np.repeat(starts, lengths)
        to = lambda x: torch.from_numpy(x).to(device, non_blocking=True)
        cu_seqlens = to(np.concatenate([[0], ends]).astype(np.int32))
        kwargs = {
            "sequence_runs": runs_of_equal_length(lengths),
            **dict.fromkeys(("cu_seq_lens_q", "cu_seq_lens_k"), cu_seqlens),
            **dict.fromkeys(("max_length_q", "max_length_k"), int(lengths.max())),
        }
        labels = to(responses.values.astype(np.int64))
        return cls(to(tokens)[None], to(positions)[None], kwargs, to(is_response - 1), labels, response_lengths)

    def padded(self, values: Tensor) -> Tensor:
        """Per-label `values` [labels] as [rows, longest response], zero where a row has ended. Keeps the gradient."""
        shape = (len(self.response_lengths), int(self.response_lengths.max(initial=0)))
        return values.new_zeros(shape).masked_scatter(self.mask(values.device), values)

    def mask(self, device: torch.device) -> Tensor:
        """[rows, longest response] bool: where a row has a response token."""
        columns = torch.arange(int(self.response_lengths.max(initial=0)), device=device)
        return columns[None, :] < torch.from_numpy(self.response_lengths).to(device)[:, None]


def _spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Concatenated arange(start, start + length) of every row, int64."""
    offsets = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(offsets, lengths) + np.repeat(starts, lengths)
