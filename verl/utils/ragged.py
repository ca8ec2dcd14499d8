"""Ragged: rows of differing length in one array, without padding; and how rows are chosen and compared. NumPy alone."""
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Rows = slice | Sequence[int] | np.ndarray  # which rows: a slice, indices, or a boolean mask


def as_rows(index: Rows, total: int) -> slice | np.ndarray:
    """A slice of step 1 within bounds (so that taking it is a view), else int64 indices in [0, total)."""
    if isinstance(index, slice):
        start, stop, step = index.indices(total)
        return slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step)
    index = np.asarray(index)
    if index.dtype == bool:
        if index.shape != (total,):
            raise IndexError(f"a row mask of shape {index.shape} does not fit {total} rows")
        return np.flatnonzero(index)
    if index.size == 0:
        return np.empty(0, np.int64)
    if index.dtype.kind not in "iu" or index.ndim != 1:
        raise IndexError(f"rows are chosen by a 1-d array of integers or booleans, not {index.dtype}{index.shape}")
    index = index.astype(np.int64)
    if index.min() < -total or index.max() >= total:
        raise IndexError(f"row indices from {index.min()} to {index.max()} do not fit {total} rows")
    return np.where(index < 0, index + total, index)


def repeated_rows(rows: int, n: int, interleave: bool) -> np.ndarray:
    """Indices of every row n times: 0 0 1 1 … when interleaved, else 0 1 … 0 1 …."""
    return np.repeat(np.arange(rows), n) if interleave else np.tile(np.arange(rows), n)


def same(a: Any, b: Any) -> bool:
    """Whether two columns, rows or metadata values hold the same, whatever arrays are nested in them; NaN is NaN."""
    if isinstance(a, Ragged):
        return a.equals(b)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        if a.dtype == object:
            return all(map(same, a.flat, b.flat))
        return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return False
    return bool(a == b or (a != a and b != b))


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of differing length, end to end.

    Args:
        values: [total, ...], any dtype.
        offsets: int64 [rows + 1], from 0 to total; row i is `values[offsets[i]:offsets[i + 1]]`.

    Example:
        >>> Ragged.from_rows([[1, 2], [], [3]]).to_padded()
        array([[1, 2],
               [0, 0],
               [3, 0]])
    """
    values: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        offsets = self.offsets
        if offsets.dtype != np.int64 or offsets.ndim != 1 or len(offsets) == 0:
            raise ValueError(f"offsets must be int64 [rows + 1], not {offsets.dtype}{offsets.shape}")
        if offsets[0] != 0 or offsets[-1] != len(self.values) or (np.diff(offsets) < 0).any():
            raise ValueError(f"offsets must rise from 0 to the number of values ({len(self.values)})")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, a mask is one bit a value; other values go as they are, and a reader of Ray's store shares them."""
        if self.dtype == bool:
            return _from_bits, (np.packbits(self.values), self.values.shape, self.offsets)
        return Ragged, (self.values, self.offsets)

    @classmethod
    def from_lengths(cls, values: np.ndarray, lengths: Sequence[int] | np.ndarray) -> "Ragged":
        """Cut `values` [total, ...] into consecutive rows of the given lengths."""
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(values, offsets)

    @classmethod
    def from_rows(cls, rows: Sequence[Any], dtype: np.typing.DTypeLike = None) -> "Ragged":
        """Join arrays or lists. Without `dtype` the filled rows decide: an empty list is float64 to NumPy."""
        arrays = [np.asarray(row, dtype) for row in rows]
        filled = [array for array in arrays if len(array)] or arrays[:1] or [np.empty(0, dtype)]
        return cls.from_lengths(np.concatenate(filled), [len(array) for array in arrays])

    @classmethod
    def from_padded(cls, array: np.ndarray, mask: np.ndarray) -> "Ragged":
        """Keep what `mask` [rows, width] marks of `array` [rows, width, ...], in order; inverse of `to_padded`."""
        mask = np.asarray(mask, bool)
        return cls.from_lengths(array[mask], mask.sum(1))

    @staticmethod
    def concat(parts: Sequence["Ragged"]) -> "Ragged":
        """The rows of all parts, in order."""
        lengths = np.concatenate([part.lengths for part in parts])
        return Ragged.from_lengths(np.concatenate([part.values for part in parts]), lengths)

    @property
    def lengths(self) -> np.ndarray:
        """int64 [rows]."""
        return np.diff(self.offsets)

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + self.offsets.nbytes

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int | Rows) -> "np.ndarray | Ragged":
        """An integer gives that row as a view; a slice, indices or a mask give a Ragged (of step 1: views)."""
        if isinstance(index, (int, np.integer)):
            row = range(len(self))[index]
            return self.values[self.offsets[row]:self.offsets[row + 1]]
        rows = as_rows(index, len(self))
        if isinstance(rows, slice):
            bounds = self.offsets[rows.start:rows.stop + 1]
            return Ragged(self.values[bounds[0]:bounds[-1]], bounds - bounds[0])
        bounds = zip(self.offsets[rows].tolist(), self.offsets[rows + 1].tolist(), strict=True)
        taken = [self.values[:0], *(self.values[start:stop] for start, stop in bounds)]  # copies by row, not by value
        return Ragged.from_lengths(np.concatenate(taken), self.lengths[rows])

    def padding_mask(self, side: Literal["right", "left"] = "right", length: int | None = None) -> np.ndarray:
        """bool [rows, length], True where `to_padded` of the same arguments holds a value."""
        width = int(self.lengths.max(initial=0)) if length is None else length
        if self.lengths.max(initial=0) > width:
            raise ValueError(f"a row of {self.lengths.max()} values does not fit a padded length of {width}")
        columns = np.arange(width) if side == "right" else np.arange(width)[::-1]
        return columns < self.lengths[:, None]

    def to_padded(self,
                  side: Literal["right", "left"] = "right",
                  value: Any = 0,
                  length: int | None = None) -> np.ndarray:
        """[rows, length, ...] with `value` in the gaps, on the `side` named; `length` defaults to the longest row."""
        mask = self.padding_mask(side, length)
        padded = np.full(mask.shape + self.values.shape[1:], value, self.dtype)
        padded[mask] = self.values
        return padded

    def repeat(self, n: int, interleave: bool = True) -> "Ragged":
        """Every row n times: see `repeated_rows`."""
        return self[repeated_rows(len(self), n, interleave)]

    def sum(self) -> np.ndarray:
        """[rows, ...], the sum of each row (0 for an empty one), in the dtype of `np.sum`."""
        dtype = self.values[:0].sum().dtype
        sums = np.zeros((len(self),) + self.values.shape[1:], dtype)
        filled = self.lengths > 0  # reduceat reads an empty segment as its first value
        if filled.any():
            sums[filled] = np.add.reduceat(self.values, self.offsets[:-1][filled], axis=0, dtype=dtype)
        return sums

    def equals(self, other: Any) -> bool:
        """Same rows and dtype (NaN equals NaN)."""
        return isinstance(other, Ragged) and same(self.offsets, other.offsets) and same(self.values, other.values)


def _from_bits(bits: np.ndarray, shape: tuple[int, ...], offsets: np.ndarray) -> Ragged:
    return Ragged(np.unpackbits(bits, count=math.prod(shape)).view(bool).reshape(shape), offsets)
