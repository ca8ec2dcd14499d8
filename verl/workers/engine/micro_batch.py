"""A micro-batch on the device: sequences end to end without padding, and which positions predict the response.

What no label needs is left out: the last token of a response, and a prompt where an earlier row has the same.
"""
import dataclasses
from collections.abc import Callable
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
    def pack(cls,
             prompts: Ragged,
             responses: Ragged,
             device: torch.device,
             groups: np.ndarray | None = None) -> "MicroBatch":
        """Rows of prompt + response ids, both [rows, (length)]. Every prompt needs at least one token.

        Without rows, one token without a label runs: the weights are gathered and every gradient (zero) is reduced in
        step with the ranks that have rows.

        Args:
            groups: [rows], equal where the prompts are, so that each is read once; None: every row reads its own.
        """
        prompt_lengths, response_lengths = prompts.lengths, responses.lengths
        if not len(prompts):
            filler = cls.pack(Ragged.from_rows([[0]]), Ragged.from_rows([[]], np.int64), device)
            return dataclasses.replace(filler, response_lengths=response_lengths)
        assert (prompt_lengths > 0).all(), "an empty prompt leaves nothing to predict the first response token from"
        read = np.maximum(response_lengths - 1, 0)
        lengths = prompt_lengths + read
        starts = np.cumsum(lengths) - lengths
        tokens = np.empty(int(lengths.sum()), np.int64)
        tokens[_spans(starts, prompt_lengths)] = prompts.values
        tokens[_spans(starts + prompt_lengths, read)] = responses.values[_spans(responses.offsets[:-1], read)]
        positions = np.arange(len(tokens)) - np.repeat(starts, lengths)
        predictors = _spans(starts + prompt_lengths - 1, response_lengths)
        groups = np.arange(len(prompts)) if groups is None else groups
        has_copy, token_of, kept = _find_copies(starts, prompt_lengths, groups, len(tokens))
        queries = lengths - np.where(has_copy, prompt_lengths, 0)
        asks = queries > 0
        key_tokens = token_of[np.repeat(asks, lengths)] if has_copy.any() else None
        to = lambda x: torch.from_numpy(x).to(device, non_blocking=True)
        return cls(input_ids=to(tokens[kept])[None],
                   position_ids=to(positions[kept])[None],
                   attention_kwargs=_attention_kwargs(queries[asks], lengths[asks], key_tokens, to),
                   predictors=to(token_of[predictors]),
                   labels=to(responses.values.astype(np.int64)),
                   response_lengths=response_lengths)

    def padded(self, values: Tensor) -> Tensor:
        """Per-label `values` [labels] as [rows, longest response], zero where a row has ended. Keeps the gradient."""
        shape = (len(self.response_lengths), int(self.response_lengths.max(initial=0)))
        return values.new_zeros(shape).masked_scatter(self.mask(values.device), values)

    def mask(self, device: torch.device) -> Tensor:
        """[rows, longest response] bool: where a row has a response token."""
        columns = torch.arange(int(self.response_lengths.max(initial=0)), device=device)
        return columns[None, :] < torch.from_numpy(self.response_lengths).to(device)[:, None]


def _attention_kwargs(queries: np.ndarray, keys: np.ndarray, key_tokens: np.ndarray | None,
                      to: Callable[[np.ndarray], Tensor]) -> dict[str, Any]:
    """What `packed_attention` asks for: [sequences] lengths, and [all keys] tokens, brought `to` the device."""
    ends = lambda lengths: to(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    return {
        "sequence_runs": runs_of_equal_length(queries, keys),
        "key_tokens": None if key_tokens is None else to(key_tokens),
        "cu_seq_lens_q": ends(queries),
        "cu_seq_lens_k": ends(keys),
        "max_length_q": int(queries.max()),
        "max_length_k": int(keys.max()),
    }


def _find_copies(starts: np.ndarray, prompt_lengths: np.ndarray, groups: np.ndarray,
                 places: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds all but the first prompt of each group in sequences that begin at `starts` of `places`.

    Returns:
        has_copy: bool [rows], whose prompt an earlier row has.
        token_of: [places], the token in each place, counted without the copies.
        kept: [tokens], the place of each token.
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    source = first[group]  # the row that each row has its prompt from
    has_copy = source != np.arange(len(groups))
    is_copy = np.zeros(places, bool)
    is_copy[_spans(starts[has_copy], prompt_lengths[has_copy])] = True
    token_of = np.cumsum(~is_copy) - 1
    token_of[is_copy] = token_of[_spans(starts[source[has_copy]], prompt_lengths[has_copy])]
    return has_copy, token_of, np.flatnonzero(~is_copy)


def _spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Concatenated arange(start, start + length) of every row, int64."""
    offsets = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(offsets, lengths) + np.repeat(starts, lengths)
