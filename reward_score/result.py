"""One shape for whatever a reward function returns: a dict with `score`, `acc` and plain extra keys."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real


class RewardUnavailable(RuntimeError):
    """A service that a reward function asks (a judge, a remote sandbox) does not answer.

    The answer is then neither right nor wrong: its result has the status `unavailable`, and training leaves it out of
    the loss. The message names the URL, the cause and the key or variable to check.
    """


def normalize_result(value: object, data_source: str) -> dict[str, object]:
    """Turns a reward function's return value into `{"score": float, "acc": float, **extra}`.

    Accepts a number, a dict with `score`, or a tuple whose first element is the score (verl's three shapes). `acc` is
    the function's own, else 1.0 when the score reaches 1 and 0.0 below. Extra values are plain (numbers, strings,
    bools, None, and lists or dicts of them), so that they can cross processes and land in parquet; NumPy scalars and
    arrays are converted.

    Raises:
        ValueError: any other type, a missing or non-finite score; the message names `data_source`.
    """
    if isinstance(value, Mapping):
        if "score" not in value:
            raise ValueError(
                f"reward of {data_source!r} returned a dict without 'score' (keys: {sorted(map(str, value))})")
        fields = dict(value)
    elif isinstance(value, tuple | list) and value:
        fields = {"score": value[0]}
    else:
        fields = {"score": value}
    score = _finite(fields.pop("score"), "score", data_source)
    default_acc = 1.0 if score >= 1.0 else 0.0
    acc = _finite(fields.pop("acc", default_acc), "acc", data_source)
    extra = {str(key): _plain(item, str(key), data_source) for key, item in fields.items()}
    return {"score": score, "acc": acc, **extra}


def _finite(value: object, key: str, data_source: str) -> float:
    value = _unwrap_numpy(value)
    if not isinstance(value, Real):
        raise ValueError(f"reward of {data_source!r} returned {key} of type {type(value).__name__}; "
                         "return a number, or a dict with 'score'")
    if not math.isfinite(value):
        raise ValueError(f"reward of {data_source!r} returned {key} = {value}; it must be finite")
    return float(value)


def _plain(value: object, key: str, data_source: str) -> object:
    value = _unwrap_numpy(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item, key, data_source) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item, key, data_source) for item in value]
    raise ValueError(f"reward of {data_source!r} returned extra key {key!r} of type {type(value).__name__}; "
                     "use numbers, strings, bools, None, or lists and dicts of them")


def _unwrap_numpy(value: object) -> object:
    """NumPy scalars and arrays to Python's own, without importing NumPy."""
    return value.tolist() if type(value).__module__ == "numpy" and hasattr(value, "tolist") else value
