"""How long prompts are, as training will count them."""

from collections.abc import Sequence
from functools import lru_cache

Row = dict[str, object]


def prompt_lengths(tokenizer: str, rows: Sequence[Row]) -> list[int]:
    """[rows], tokens of each prompt: its messages in the tokenizer's chat template, or its `raw_prompt`.

    Args:
        tokenizer: folder or hub id; empty: characters are counted.

    Raises:
        ValueError: the tokenizer cannot be loaded, or cannot render a row.
    """
    if not tokenizer:
        return [sum(len(message["content"]) for message in row["prompt"]) for row in rows]
    from verl.utils.dataset.chat import render_prompt
    from verl.utils.tokenizer import token_counts

    loaded = _load(tokenizer)
    texts = [render_prompt(loaded, row, "prompt", {}) for row in rows]
    return token_counts(loaded, texts)


@lru_cache(maxsize=1)
def _load(path: str):  # noqa: ANN202 -- a tokenizer of transformers, which is imported only here
    from verl.utils.tokenizer import load_tokenizer

    return load_tokenizer(path)
