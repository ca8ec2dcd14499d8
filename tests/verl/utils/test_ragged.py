import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl.utils.ragged import Ragged, same

ROWS = st.lists(st.lists(st.integers(-5, 5), max_size=4), max_size=6)


def ragged_of(rows):
    return Ragged.from_rows(rows, np.int32)


def as_lists(ragged):
    return [row.tolist() for row in ragged]


@given(ROWS, st.sampled_from(["left", "right"]), st.integers(0, 3))
def test_padding_round_trip(rows, side, extra):
    ragged = ragged_of(rows)
    width = max(map(len, rows), default=0) + extra
    padded, mask = ragged.to_padded(side, value=9, length=width), ragged.padding_mask(side, width)
    expected = [row + [9] * (width - len(row)) if side == "right" else [9] * (width - len(row)) + row for row in rows]
    assert padded.tolist() == expected and padded.shape == (len(rows), width)
    assert Ragged.from_padded(padded, mask).equals(ragged)


@given(ROWS, st.data())
def test_choosing_rows_is_as_for_a_list(rows, data):
    ragged = ragged_of(rows)
    cut = data.draw(st.slices(len(rows)))
    assert as_lists(ragged[cut]) == rows[cut]
    mask = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    assert as_lists(ragged[np.array(mask, bool)]) == [row for row, keep in zip(rows, mask, strict=True) if keep]
    indices = data.draw(st.lists(st.integers(-len(rows), len(rows) - 1), max_size=8)) if rows else []
    chosen = ragged[indices]
    assert as_lists(chosen) == [rows[i] for i in indices]
    assert chosen.dtype == np.int32


@given(ROWS)
def test_sum_repeat_and_concat(rows):
    ragged = ragged_of(rows)
    assert ragged.sum().tolist() == [sum(row) for row in rows]
    assert as_lists(ragged.repeat(2)) == [row for row in rows for _ in range(2)]
    assert as_lists(ragged.repeat(2, interleave=False)) == rows + rows
    assert as_lists(Ragged.concat([ragged, ragged[:1], ragged])) == rows + rows[:1] + rows


def test_contiguous_slices_and_rows_are_views():
    ragged = ragged_of([[1, 2], [3], [4, 5, 6]])
    assert np.shares_memory(ragged[1:].values, ragged.values)
    assert np.shares_memory(ragged[-1], ragged.values)
    assert not np.shares_memory(ragged[[1, 2]].values, ragged.values)


def test_sum_counts_booleans_and_keeps_trailing_axes():
    assert Ragged.from_rows([[True, True], [], [True]]).sum().tolist() == [2, 0, 1]
    pairs = Ragged.from_lengths(np.arange(8, dtype=np.float32).reshape(4, 2), [1, 0, 3])
    assert pairs.sum().tolist() == [[0, 1], [0, 0], [12, 15]] and pairs.sum().dtype == np.float32
    assert pairs.to_padded().shape == (3, 3, 2)


def test_empty_rows_do_not_change_the_dtype():
    assert Ragged.from_rows([[], [1, 2], np.array([3])]).dtype == np.int64
    assert Ragged.from_rows([np.empty(0, np.int32)]).dtype == np.int32
    assert len(Ragged.from_rows([], np.int32)) == 0


def test_equals_asks_for_offsets_and_dtype():
    ragged = ragged_of([[1, 2], [3]])
    assert ragged.equals(ragged_of([[1, 2], [3]]))
    assert not ragged.equals(ragged_of([[1], [2, 3]]))
    assert not ragged.equals(Ragged.from_rows([[1, 2], [3]], np.int64))
    assert Ragged.from_rows([[np.nan]]).equals(Ragged.from_rows([[np.nan]]))


@pytest.mark.parametrize("offsets", [[0, 2], [1, 3], [0, 2, 1, 3], []])
def test_offsets_that_do_not_fit_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets must"):
        Ragged(np.zeros(3), np.array(offsets, np.int64))


@pytest.mark.parametrize("index", [5, -4, [0, 3], np.array([True]), np.array([0.5])])
def test_rows_that_do_not_exist_are_refused(index):
    with pytest.raises(IndexError):
        ragged_of([[1], [2], [3]])[index]


def test_too_small_a_padded_length_is_refused():
    with pytest.raises(ValueError, match="a row of 2 values does not fit a padded length of 1"):
        ragged_of([[1, 2]]).to_padded(length=1)


@pytest.mark.parametrize("a, b, expected", [
    (np.array([1, {"x": np.arange(2)}], object), np.array([1, {"x": np.arange(2)}], object), True),
    (np.array([1, {"x": np.arange(2)}], object), np.array([1, {"x": np.arange(3)}], object), False),
    ({"x": float("nan")}, {"x": float("nan")}, True),
    ([1, (2, "a")], [1, (2, "a")], True),
    ([1, 2], np.array([1, 2]), False),
    (np.arange(2), np.arange(2.0), False),
])  # yapf: disable
def test_same(a, b, expected):
    assert same(a, b) is expected and same(b, a) is expected


@given(st.lists(st.lists(st.booleans(), max_size=20), max_size=6), st.sampled_from([bool, np.int32, np.float32]),
       st.data())
def test_what_is_pickled_comes_back(rows, dtype, data):
    ragged = Ragged.from_rows(rows, dtype)[data.draw(st.slices(len(rows)))]
    again = pickle.loads(pickle.dumps(ragged, protocol=5))
    assert again.equals(ragged)
    pairs = Ragged(np.stack([ragged.values, ~ragged.values.astype(bool)], 1), ragged.offsets)
    assert pickle.loads(pickle.dumps(pairs)).equals(pairs)


def test_a_mask_travels_as_bits_and_numbers_are_not_copied():
    numbers = Ragged.from_rows([np.arange(5000), np.arange(3000)])
    mask = Ragged(numbers.values > 7, numbers.offsets)
    for column, size in ((mask, 1000), (numbers, 64000)):
        buffers = []
        inside = pickle.dumps(column, protocol=5, buffer_callback=buffers.append)
        assert len(inside) < 500
        assert sorted(buffer.raw().nbytes for buffer in buffers) == sorted([size, 24])
    assert any(np.shares_memory(np.frombuffer(buffer, numbers.dtype), numbers.values) for buffer in buffers)
