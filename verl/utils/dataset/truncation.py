"""What happens to sequences longer than allowed."""
import numpy as np

from verl.utils.dataset.rows import Rows
from verl.utils.ragged import Ragged


def refuse_overlong(rows: Rows, lengths: np.ndarray, max_length: int, key: str, remedy: str) -> None:
    """Raises ValueError naming the first row longer than `max_length` tokens, and `key`, which set the limit."""
    overlong = np.flatnonzero(lengths > max_length)
    if len(overlong):
        first = overlong[0]
        raise ValueError(
            f"{rows.where(first)}: {lengths[first]} tokens are more than {key}={max_length} "
            f"({len(overlong)} of {len(lengths)} rows, the longest {lengths.max()}): raise it, or {remedy}")


def truncation_mask(tokens: Ragged, max_length: int, truncation: str) -> np.ndarray:
    """Which values (bool [total]) stay when each row is cut to at most `max_length`.

    `left` cuts the start off, `right` the end, `middle` keeps as much from both ends.
    """
    lengths = np.repeat(tokens.lengths, tokens.lengths)
    positions = np.arange(len(tokens.values)) - np.repeat(tokens.offsets[:-1], tokens.lengths)
    heads = {"left": 0, "right": max_length, "middle": max_length // 2}
    head = heads[truncation]
    return (positions < head) | (positions >= lengths - (max_length - head))


def truncate(tokens: Ragged, mask: np.ndarray, max_length: int) -> Ragged:
    """The values that a `truncation_mask` of rows of the same lengths keeps."""
    return Ragged.from_lengths(tokens.values[mask], np.minimum(tokens.lengths, max_length))
