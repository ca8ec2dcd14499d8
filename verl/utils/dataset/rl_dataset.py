"""Prompts for RL: rows of verl's schema, tokenised once at start.

A row has `prompt` (a list of {role, content}, or a string), `data_source`, `reward_model.ground_truth` and maybe
`extra_info`; what is wrong with a row is found here, before any process starts.
"""
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from verl.utils.dataset.areal import read_areal
from verl.utils.dataset.chat import render_prompt
from verl.utils.dataset.rows import Row, Rows, read_rows, sample_rows
from verl.utils.dataset.truncation import refuse_overlong, truncate, truncation_mask
from verl.utils.ragged import Ragged
from verl.utils.tokenizer import tokenize

if TYPE_CHECKING:
    from verl.config.data import DataConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PromptRow:
    """One prompt and what its reward needs."""
    index: int  # place in the dataset
    prompt_ids: np.ndarray  # int32 [prompt_length]
    prompt_text: str  # what these ids spell
    data_source: str
    ground_truth: Any
    reward_model: dict[str, Any]
    extra_info: dict[str, Any]


class RLHFDataset:
    """The usable prompts of `files`, in file order.

    Args:
        files: .parquet, .json or .jsonl; their columns may differ. JSON lines may also have AReaL's layout (`areal`).
        tokenizer: with a chat template, unless all rows have `apply_chat_template: false`.
        config: limits, truncation and keys.
        max_samples: use at most so many rows, before the length filter: drawn by `config.seed` if `config.shuffle`,
            else the first. Negative: all.
        files_key: config key to name in messages about `files`.

    Attributes:
        prompt_ids: Ragged of int32, one row per prompt.
        data_sources: number of prompts by `data_source`.
        fingerprint: hex SHA-256 over token ids, sources and ground truths, in order: the same for the same data on
            every machine.

    Raises:
        ValueError: for a file, row or prompt length that is not acceptable (with file and row), or if no row is left.
    """

    def __init__(self,
                 files: Sequence[str],
                 tokenizer: PreTrainedTokenizerBase,
                 config: "DataConfig",
                 max_samples: int = -1,
                 files_key: str = "data.train_files") -> None:
        self._tokenizer, self._config = tokenizer, config
        self._reward_fn_key = config.reward_fn_key
        rows = sample_rows(read_rows(files, files_key, read_areal), max_samples, config.shuffle, config.seed or 0)
        texts, sources, digests = self._check_and_render(rows)
        prompt_ids = tokenize(tokenizer, texts)
        keep = self._usable(rows, prompt_ids.lengths)
        if not keep.any():
            raise ValueError(
                f"{files_key}: none of {len(rows)} rows in {', '.join(files)} is usable: name files with rows, "
                f"or raise data.max_prompt_length={config.max_prompt_length}")
        self._rows, self.prompt_ids = rows.keep(keep), self._fit(prompt_ids[keep])
        self.data_sources = Counter(source for source, kept in zip(sources, keep, strict=True) if kept)
        self.fingerprint = _fingerprint(self.prompt_ids, digests[keep])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> PromptRow:
        row, ids = self._rows[int(index)], self.prompt_ids[int(index)]
        return PromptRow(index=int(index),
                         prompt_ids=ids,
                         prompt_text=self._tokenizer.decode(ids),
                         data_source=row[self._reward_fn_key],
                         ground_truth=row["reward_model"]["ground_truth"],
                         reward_model=row["reward_model"],
                         extra_info=row.get("extra_info") or {})

    def _check_and_render(self, rows: Rows) -> tuple[list[str], list[str], np.ndarray]:
        """The prompt text, the source and a digest (bytes [rows, 16]) of what the reward will see, for each row."""
        texts, sources, digests = [], [], np.empty((len(rows), 16), np.uint8)
        for i, row in enumerate(rows):
            try:
                self._check(row, rows, i)
                texts.append(
                    render_prompt(self._tokenizer, row, self._config.prompt_key,
                                  self._config.apply_chat_template_kwargs))
            except ValueError as error:
                raise ValueError(f"{rows.where(i)}: {error}") from error
            sources.append(row[self._reward_fn_key])
            digests[i] = _digest(sources[-1], row["reward_model"]["ground_truth"])
        return texts, sources, digests

    def _check(self, row: Row, rows: Rows, i: int) -> None:
        key = self._config.prompt_key
        ready_made = row.get("apply_chat_template") is False and row.get("raw_prompt") is not None
        if row.get(key) is None and not ready_made:
            raise ValueError(f"`{key}` is missing, the file has {', '.join(rows.columns(i))}: name the right column in "
                             "data.prompt_key, or fill it")
        if not isinstance(row.get(self._reward_fn_key), str) or not row[self._reward_fn_key]:
            raise ValueError(
                f"`{self._reward_fn_key}` is missing: it must name the source, by which the reward is chosen "
                "(another column: data.reward_fn_key)")
        reward_model = row.get("reward_model")
        if not isinstance(reward_model, dict) or reward_model.get("ground_truth") is None:
            raise ValueError("`reward_model.ground_truth` is missing: give the row reward_model={\"style\": \"rule\", "
                             "\"ground_truth\": …}")

    def _usable(self, rows: Rows, lengths: np.ndarray) -> np.ndarray:
        """Which rows (bool) stay: all, unless `filter_overlong_prompts`; how many a file loses is logged."""
        limit = self._config.max_prompt_length
        if not self._config.filter_overlong_prompts:
            if self._config.truncation == "error":
                refuse_overlong(rows, lengths, limit, "data.max_prompt_length",
                                "set data.filter_overlong_prompts=True or data.truncation=left|right|middle")
            return np.ones(len(rows), dtype=bool)
        keep = lengths <= limit
        for file, kept in zip(rows.files, rows.split(keep), strict=True):
            if not kept.all():
                logger.warning("%s: dropped %d of %d prompts longer than data.max_prompt_length=%d tokens", file.path,
                               len(kept) - kept.sum(), len(kept), limit)
        return keep

    def _fit(self, prompt_ids: Ragged) -> Ragged:
        limit = self._config.max_prompt_length
        if prompt_ids.lengths.max() <= limit:
            return prompt_ids
        return truncate(prompt_ids, truncation_mask(prompt_ids, limit, self._config.truncation), limit)


def _digest(data_source: str, ground_truth: Any) -> np.ndarray:  # noqa: ANN401 - whatever the source's reward takes
    content = json.dumps([data_source, ground_truth], sort_keys=True, default=str).encode()
    return np.frombuffer(hashlib.sha256(content).digest()[:16], np.uint8)


def _fingerprint(prompt_ids: Ragged, digests: np.ndarray) -> str:
    digest = hashlib.sha256()
    for part in (prompt_ids.offsets, prompt_ids.values, digests):
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
