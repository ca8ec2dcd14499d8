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

    loaded = load_tokenizer(tokenizer)
    texts = [render_prompt(loaded, row, "prompt", {}) for row in rows]
    return token_counts(loaded, texts)


@lru_cache(maxsize=1)
def load_tokenizer(path: str):  # noqa: ANN201 -- a tokenizer of transformers, which is imported only here
    """The tokenizer of a folder or hub id, loaded once in each process."""
    from verl.utils import tokenizer

    return tokenizer.load_tokenizer(path)
