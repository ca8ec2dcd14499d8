"""DataProto, the batch that flows between driver and workers, rows of samples by column.

NumPy underneath: pickled with protocol 5 the arrays travel as out-of-band buffers, so every process of a node reads the
copy in Ray's object store, read-only and without a copy of its own. Neither torch nor Ray is imported here; an engine
moves the columns it needs to its device.
"""
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from verl.utils.ragged import Ragged, Rows, as_rows, repeated_rows, same

Column = np.ndarray | Ragged


def _is_numeric(column: Any) -> bool:
    return isinstance(column, Ragged) or (isinstance(column, np.ndarray) and column.dtype.kind in "biufc")


def _object_column(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values.astype(object, copy=False)
    return np.fromiter(values, object, len(values))  # np.array would make a matrix of lists of equal length


def _concat_column(parts: Sequence[Column]) -> Column:
    return Ragged.concat(parts) if isinstance(parts[0], Ragged) else np.concatenate(parts)


def _pick(columns: dict[str, Any], keys: Sequence[str] | None) -> dict[str, Any]:
    keys = list(columns) if keys is None else keys
    missing = [key for key in keys if key not in columns]
    if missing:
        raise ValueError(f"no column {missing[0]!r} here; there are {sorted(columns)}")
    return {key: columns[key] for key in keys}


def _merge(kind: str, ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    for key in ours:
        if key in theirs and not same(ours[key], theirs[key]):
            raise ValueError(f"{kind} {key!r} is on both sides with different values; drop or rename one")
    return ours | theirs


def _merge_meta(parts: Sequence["DataProto"]) -> dict[str, Any]:
    merged, metrics = {}, {}
    for part in parts:
        merged = _merge("meta_info", merged, {key: value for key, value in part.meta_info.items() if key != "metrics"})
        for name, value in part.meta_info.get("metrics", {}).items():
            metrics.setdefault(name, []).extend(value if isinstance(value, list) else [value])
    return merged | ({"metrics": metrics} if metrics else {})


@dataclass
class DataProtoItem:
    """One row of a DataProto: arrays (or scalars) and objects by column name; `meta_info` is the whole batch's."""
    batch: dict[str, Any]
    non_tensor_batch: dict[str, Any]
    meta_info: dict[str, Any]


@dataclass(eq=False)
class DataProto:
    """A batch of samples by column.

    Args:
        batch: numeric columns, `[rows, ...]` or Ragged.
        non_tensor_batch: object columns `[rows]`: uid, data_source, text, dictionaries.
        meta_info: about the batch as a whole. `metrics`, if there, maps a name to a number or a list of numbers.

    Columns may be shared and read-only: methods replace columns and never write into one.
    """
    batch: dict[str, Column] = field(default_factory=dict)
    non_tensor_batch: dict[str, np.ndarray] = field(default_factory=dict)
    meta_info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check_consistency()

    @classmethod
    def from_dict(cls,
                  tensors: dict[str, Column] | None = None,
                  non_tensors: dict[str, Any] | None = None,
                  meta_info: dict[str, Any] | None = None) -> "DataProto":
        """Columns by kind; lists among `non_tensors` become object columns."""
        objects = {key: _object_column(values) for key, values in (non_tensors or {}).items()}
        return cls(dict(tensors or {}), objects, dict(meta_info or {}))

    @classmethod
    def from_single_dict(cls, data: dict[str, Any], meta_info: dict[str, Any] | None = None) -> "DataProto":
        """Columns of both kinds: numeric arrays and Ragged go to `batch`, strings, objects and lists beside it."""
        numeric = {key: column for key, column in data.items() if _is_numeric(column)}
        return cls.from_dict(numeric, {key: data[key] for key in data if key not in numeric}, meta_info)

    @staticmethod
    def concat(data: Sequence["DataProto"]) -> "DataProto":
        """The rows of all parts. Equal columns and equal `meta_info` are asked for; `metrics` become lists by name."""
        first, *rest = data
        for part in rest:
            odd = {*first.batch, *first.non_tensor_batch} ^ {*part.batch, *part.non_tensor_batch}
            if odd:
                raise ValueError(f"cannot join: column {min(odd)!r} is not in every part")
        batch = {key: _concat_column([part.batch[key] for part in data]) for key in first.batch}
        objects = {key: np.concatenate([part.non_tensor_batch[key] for part in data]) for key in first.non_tensor_batch}
        return DataProto(batch, objects, _merge_meta(data))

    def check_consistency(self) -> None:
        """ValueError unless every column is an array of its kind and all have the same number of rows."""
        for key, column in self.batch.items():
            if not _is_numeric(column):
                raise ValueError(f"column {key!r} of batch must be a numeric ndarray or Ragged, not {type(column)}")
        for key, column in self.non_tensor_batch.items():
            if not isinstance(column, np.ndarray) or column.dtype != object:
                raise ValueError(f"column {key!r} of non_tensor_batch must be an object ndarray, not {type(column)}")
        lengths = {key: len(column) for key, column in (self.batch | self.non_tensor_batch).items()}
        if len(lengths) < len(self.batch) + len(self.non_tensor_batch):
            twice = min(self.batch.keys() & self.non_tensor_batch.keys())
            raise ValueError(f"column {twice!r} is both in batch and in non_tensor_batch")
        for key, length in lengths.items():
            if length != len(self):
                raise ValueError(f"column {key!r} has {length} rows, the batch {len(self)}: {lengths}")

    def __len__(self) -> int:
        return next((len(column) for columns in (self.batch, self.non_tensor_batch) for column in columns.values()), 0)

    def __getitem__(self, index: int | Rows) -> "DataProto | DataProtoItem":
        """An integer gives a DataProtoItem; a slice, indices or a mask a DataProto (a slice of step 1: views)."""
        rows = range(len(self))[index] if isinstance(index, (int, np.integer)) else as_rows(index, len(self))
        kind = DataProtoItem if isinstance(rows, int) else DataProto
        take = lambda columns: {key: column[rows] for key, column in columns.items()}
        return kind(take(self.batch), take(self.non_tensor_batch), dict(self.meta_info))

    def select_idxs(self, idxs: Rows) -> "DataProto":
        """The rows named by indices or a mask."""
        return self[idxs]

    def slice(self, start: int | None = None, end: int | None = None, step: int | None = None) -> "DataProto":
        return self[slice(start, end, step)]

    def select(self,
               batch_keys: Sequence[str] | None = None,
               non_tensor_batch_keys: Sequence[str] | None = None,
               meta_info_keys: Sequence[str] | None = None) -> "DataProto":
        """The columns named, not copied; None means all of that kind."""
        return DataProto(_pick(self.batch, batch_keys), _pick(self.non_tensor_batch, non_tensor_batch_keys),
                         _pick(self.meta_info, meta_info_keys))

    def pop(
            self,
            batch_keys: Sequence[str] = (),
            non_tensor_batch_keys: Sequence[str] = (),
            meta_info_keys: Sequence[str] = (),
    ) -> "DataProto":
        """Take the columns named out of this batch."""
        popped = self.select(batch_keys, non_tensor_batch_keys, meta_info_keys)
        for mine, taken in ((self.batch, popped.batch), (self.non_tensor_batch, popped.non_tensor_batch),
                            (self.meta_info, popped.meta_info)):
            for key in taken:
                del mine[key]
        return popped

    def rename(self, old_keys: str | Sequence[str], new_keys: str | Sequence[str]) -> "DataProto":
        """Rename columns, in place."""
        old, new = ([keys] if isinstance(keys, str) else list(keys) for keys in (old_keys, new_keys))
        _pick(self.batch | self.non_tensor_batch, old)
        names = dict(zip(old, new, strict=True))
        for kind in ("batch", "non_tensor_batch"):
            columns = getattr(self, kind)
            renamed = {names.get(key, key): column for key, column in columns.items()}
            if len(renamed) < len(columns):
                raise ValueError(f"renaming {old} to {new} would overwrite a column")
            setattr(self, kind, renamed)
        self.check_consistency()
        return self

    def union(self, other: "DataProto") -> "DataProto":
        """Add the other's columns and meta_info, in place; what both have must be equal."""
        merged = DataProto(_merge("column", self.batch, other.batch),
                           _merge("column", self.non_tensor_batch, other.non_tensor_batch),
                           _merge("meta_info", self.meta_info, other.meta_info))
        self.__dict__.update(merged.__dict__)
        return self

    def chunk(self, chunks: int) -> list["DataProto"]:
        """`chunks` parts in order, views, sizes differing by one at most (the first parts are the larger)."""
        size, larger = divmod(len(self), chunks)
        bounds = [part * size + min(part, larger) for part in range(chunks + 1)]
        return [self[start:stop] for start, stop in zip(bounds, bounds[1:], strict=False)]

    def split(self, split_size: int) -> list["DataProto"]:
        """Parts of `split_size` rows in order, views; the last may be smaller."""
        return [self[start:start + split_size] for start in range(0, len(self), split_size)]

    def repeat(self, repeat_times: int, interleave: bool = True) -> "DataProto":
        """Every row so many times: 0 0 1 1 … when interleaved, else 0 1 … 0 1 …."""
        return self[repeated_rows(len(self), repeat_times, interleave)]

    def reorder(self, indices: Sequence[int] | np.ndarray) -> None:
        """Put row `indices[i]` at place i, in place."""
        self.__dict__.update(self[indices].__dict__)

    @property
    def nbytes(self) -> int:
        """Bytes in the columns; of an object column, the references only."""
        return sum(column.nbytes for column in (self.batch | self.non_tensor_batch).values())

    def print_size(self, prefix: str = "") -> None:
        print(f"{prefix}DataProto of {len(self)} rows: {self.nbytes / 2**20:.1f} MiB")
