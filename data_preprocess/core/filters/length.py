"""Drops prompts that are too long for training."""

from collections.abc import Sequence
from functools import lru_cache

Row = dict[str, object]


class LengthFilter:
    """Keeps rows whose prompt, as the model will read it, has `min_length` to `max_length - length_tolerance` tokens.

    The text is what training makes of the row: its messages in the tokenizer's chat template, or its `raw_prompt`.

    Args:
        tokenizer: folder or hub id.
        length_tolerance: room for what another model's template adds.
    """

    def __init__(self,
                 tokenizer: str,
                 min_length: int = 0,
                 max_length: int = 2048,
                 length_tolerance: int = 100) -> None:
        if not 0 <= min_length <= max_length - length_tolerance:
            raise ValueError(
                f"no prompt has {min_length} to {max_length} - {length_tolerance} tokens; raise the longest")
        self.tokenizer = tokenizer
        self.min_length, self.longest = min_length, max_length - length_tolerance

    @property
    def reason(self) -> str:
        return f"prompt not within {self.min_length} to {self.longest} tokens"

    def check(self, rows: Sequence[Row]) -> list[bool]:
        return [self.min_length <= length <= self.longest for length in prompt_lengths(self.tokenizer, rows)]


def prompt_lengths(tokenizer: str, rows: Sequence[Row]) -> list[int]:
    """[rows], tokens of each prompt as training counts them."""
    from verl.utils.dataset.chat import render_prompt
    from verl.utils.tokenizer import tokenize

    loaded = _load(tokenizer)
    texts = [render_prompt(loaded, row, "prompt", {}) for row in rows]
    return tokenize(loaded, texts).lengths.tolist()


@lru_cache(maxsize=1)
def _load(path: str):  # noqa: ANN202 -- a tokenizer of transformers, which is imported only here
    from verl.utils.tokenizer import load_tokenizer

    return load_tokenizer(path)
