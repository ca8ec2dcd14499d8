"""Samples for supervised fine-tuning: prompt and response, or conversations, as token ids and a loss mask."""
import hashlib
import logging
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from transformers import PreTrainedTokenizerBase

from verl.utils.dataset.chat import Message, as_messages, render, render_prompt
from verl.utils.dataset.rows import Row, Rows, read_rows, sample_rows
from verl.utils.dataset.truncation import refuse_overlong, truncate, truncation_mask
from verl.utils.ragged import Ragged
from verl.utils.tokenizer import tokenize

if TYPE_CHECKING:
    from verl.config.sft import SFTDataConfig

logger = logging.getLogger(__name__)
Segment = tuple[str, bool]  # a stretch of text, and whether the model is to learn to write it


class SFTDataset:
    """The samples of `files`, in file order.

    A row with `messages` is a conversation: every assistant turn is learned, with the token that ends it. Any other row
    is `prompt` (messages, a string, or `raw_prompt` with `apply_chat_template: false`) and `response`, which is learned
    with EOS. Segments are tokenised apart, as in generation: the prompt's ids do not depend on the answer.

    Args:
        max_samples: use at most so many rows, drawn by `config.seed` if `config.shuffle`, else the first. Negative:
            all.
        files_key: config key to name in messages about `files`.

    Attributes:
        input_ids: Ragged of int32, one row per sample.
        loss_mask: Ragged of bool of the same lengths; true where the token itself is a target.
        fingerprint: hex SHA-256 over both.

    Raises:
        ValueError: for a file, row or length that is not acceptable (with file and row), or if no row is left.
    """

    def __init__(self,
                 files: Sequence[str],
                 tokenizer: PreTrainedTokenizerBase,
                 config: "SFTDataConfig",
                 max_samples: int = -1,
                 files_key: str = "data.train_files") -> None:
        self._tokenizer, self._config = tokenizer, config
        rows = sample_rows(read_rows(files, files_key), max_samples, config.shuffle, config.seed or 0)
        samples = [self._segments_of(row, rows, i) for i, row in enumerate(rows)]
        input_ids, loss_mask = self._fit(rows, *self._join(samples))
        learned = loss_mask.sum() > 0
        if not learned.all():
            logger.warning("dropped %d of %d samples: cut to data.max_length=%d, nothing to learn is left",
                           (~learned).sum(), len(rows), config.max_length)
        if not learned.any():
            raise ValueError(
                f"{files_key}: none of {len(rows)} rows in {', '.join(files)} is usable: name files with rows, "
                f"or raise data.max_length={config.max_length}")
        self.input_ids, self.loss_mask = input_ids[learned], loss_mask[learned]
        self.fingerprint = _fingerprint(self.input_ids, self.loss_mask)

    def __len__(self) -> int:
        return len(self.input_ids)

    def _segments_of(self, row: Row, rows: Rows, i: int) -> list[Segment]:
        config = self._config
        try:
            if row.get(config.messages_key) is not None:
                return self._conversation(as_messages(row[config.messages_key], config.messages_key))
            if row.get(config.response_key) is None:
                raise ValueError(
                    f"there is neither `{config.messages_key}` nor `{config.response_key}`, only "
                    f"{', '.join(rows.columns(i))}: name the right columns in data.messages_key or data.response_key")
            return self._prompt_and_response(row)
        except ValueError as error:
            raise ValueError(f"{rows.where(i)}: {error}") from error

    def _prompt_and_response(self, row: Row) -> list[Segment]:
        config, response = self._config, row[self._config.response_key]
        if not isinstance(response, str):
            raise ValueError(f"`{config.response_key}` is of type {type(response).__name__}, not text")
        if self._tokenizer.eos_token is None:
            raise ValueError(
                f"the tokenizer of {self._tokenizer.name_or_path!r} has no eos_token, with which a response ends: "
                "name one in its tokenizer_config.json")
        prompt = render_prompt(self._tokenizer, row, config.prompt_key, config.apply_chat_template_kwargs)
        return [(prompt, False), (response + self._tokenizer.eos_token, True)]

    def _conversation(self, messages: list[Message]) -> list[Segment]:
        """Renders ever longer beginnings; what an assistant turn adds to the generation prompt is learned."""
        kwargs, segments, done = self._config.apply_chat_template_kwargs, [], ""
        for i, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            prompt = render(self._tokenizer, messages[:i], True, kwargs)
            whole = render(self._tokenizer, messages[:i + 1], False, kwargs)
            if not prompt.startswith(done) or not whole.startswith(prompt):
                raise ValueError(
                    f"the chat template renders what precedes message {i} otherwise once more messages follow, so "
                    "its answer cannot be told apart: give the row as `prompt` and `response`")
            answer = self._until_end_of_turn(whole[len(prompt):])
            segments += [(prompt[len(done):], False), (answer, True)]
            done = prompt + answer
        if not segments:
            raise ValueError("there is no message of the assistant, so nothing to learn: add one")
        return segments

    def _until_end_of_turn(self, turn: str) -> str:
        """Without the line break that many templates put after the end mark: a model that stops never writes it."""
        head, eos, _ = turn.rpartition(self._tokenizer.eos_token or "\0")
        return head + eos if eos else turn.rstrip()

    def _join(self, samples: list[list[Segment]]) -> tuple[Ragged, Ragged]:
        """Token ids and loss mask of the samples, each its segments end to end."""
        segments = [segment for sample in samples for segment in sample]
        tokens = tokenize(self._tokenizer, [text for text, _ in segments])
        bounds = [0, *accumulate(map(len, samples))]
        lengths = np.diff(tokens.offsets[bounds])
        mask = np.repeat(np.array([learned for _, learned in segments], dtype=bool), tokens.lengths)
        return Ragged.from_lengths(tokens.values, lengths), Ragged.from_lengths(mask, lengths)

    def _fit(self, rows: Rows, input_ids: Ragged, loss_mask: Ragged) -> tuple[Ragged, Ragged]:
        limit, truncation = self._config.max_length, self._config.truncation
        if truncation == "error":
            refuse_overlong(rows, input_ids.lengths, limit, "data.max_length", "set data.truncation=left|right")
            return input_ids, loss_mask
        kept = truncation_mask(input_ids, limit, truncation)
        return truncate(input_ids, kept, limit), truncate(loss_mask, kept, limit)


def _fingerprint(*columns: Ragged) -> str:
    digest = hashlib.sha256()
    for column in columns:
        digest.update(np.ascontiguousarray(column.offsets).data)
        digest.update(np.ascontiguousarray(column.values).data)
    return digest.hexdigest()
