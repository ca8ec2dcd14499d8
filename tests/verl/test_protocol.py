import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl.protocol import DataProto, DataProtoItem, Ragged, same


def batch_of(rows):
    lengths = np.arange(rows) % 3
    return DataProto.from_single_dict(
        {
            "responses": Ragged.from_lengths(np.arange(lengths.sum(), dtype=np.int32), lengths),
            "scores": np.linspace(0, 1, rows, dtype=np.float32),
            "uid": [f"u{i // 2}" for i in range(rows)],
            "extra_info": [{
                "index": i
            } for i in range(rows)],
        }, {"step": 3})


def equal(a, b):
    return same(a.batch, b.batch) and same(a.non_tensor_batch, b.non_tensor_batch) and same(a.meta_info, b.meta_info)


def test_columns_are_sorted_by_kind():
    batch = DataProto.from_single_dict({"a": np.arange(2), "b": ["x", "y"], "c": np.array(["x", "y"]), "d": [[1], [2]]})
    assert list(batch.batch) == ["a"] and list(batch.non_tensor_batch) == ["b", "c", "d"]
    assert all(column.dtype == object and column.shape == (2,) for column in batch.non_tensor_batch.values())


@given(st.integers(0, 12), st.integers(1, 6))
def test_chunks_and_splits_join_to_the_whole(rows, parts):
    batch = batch_of(rows)
    chunks = batch.chunk(parts)
    assert [len(chunk) for chunk in chunks] == [len(part) for part in np.array_split(np.arange(rows), parts)]
    assert equal(DataProto.concat(chunks), batch)
    pieces = batch.split(parts)
    assert all(len(piece) == parts for piece in pieces[:-1])
    assert not pieces or equal(DataProto.concat(pieces), batch)


@given(st.permutations(range(7)))
def test_reorder_and_its_inverse(order):
    batch = batch_of(7)
    assert batch.reorder(order) is None
    assert [info["index"] for info in batch.non_tensor_batch["extra_info"]] == list(order)
    batch.reorder(np.argsort(order))
    assert equal(batch, batch_of(7))


def test_indexing():
    batch = batch_of(6)
    item = batch[-1]
    assert isinstance(item, DataProtoItem)
    assert item.batch["responses"].tolist() == [4, 5] and item.batch["scores"] == 1
    assert item.non_tensor_batch["uid"] == "u2" and item.meta_info == {"step": 3}
    odd = np.arange(6) % 2 == 1
    for other in (batch[[1, 3, 5]], batch[np.array([1, 3, 5])], batch[1::2], batch.slice(1, None,
                                                                                         2), batch.select_idxs(odd)):
        assert equal(batch[odd], other) and len(other) == 3
    assert np.shares_memory(batch[2:5].batch["scores"], batch.batch["scores"])
    with pytest.raises(IndexError):
        batch[6]


def test_repeat():
    batch = batch_of(2)
    assert batch.repeat(2).non_tensor_batch["extra_info"].tolist() == [{"index": i} for i in (0, 0, 1, 1)]
    assert batch.repeat(2, interleave=False).batch["responses"].lengths.tolist() == [0, 1, 0, 1]


def test_select_pop_rename():
    batch = batch_of(3)
    chosen = batch.select(["scores"], [], [])
    assert (list(chosen.batch), chosen.non_tensor_batch, chosen.meta_info) == (["scores"], {}, {})
    assert chosen.batch["scores"] is batch.batch["scores"]
    assert equal(batch.select(), batch)
    popped = batch.pop(["responses"], ["uid"], ["step"])
    assert list(popped.batch) == ["responses"] and popped.meta_info == {"step": 3}
    assert list(batch.batch) == ["scores"] and list(batch.non_tensor_batch) == ["extra_info"] and not batch.meta_info
    batch.rename(["scores", "extra_info"], ["rewards", "info"]).rename("rewards", "returns")
    assert list(batch.batch) == ["returns"] and list(batch.non_tensor_batch) == ["info"]
    with pytest.raises(ValueError, match="no column 'nope'"):
        batch.pop(["nope"])
    with pytest.raises(ValueError, match="'info'"):
        batch.rename("returns", "info")


def test_union():
    batch, other = batch_of(3), DataProto({"values": np.zeros(3)}, {}, {"temperature": 1.0})
    assert batch.union(other) is batch
    assert "values" in batch.batch and batch.meta_info == {"step": 3, "temperature": 1.0}
    assert len(batch.union(batch_of(3)).batch) == 3
    with pytest.raises(ValueError, match="'scores' is on both sides"):
        batch.union(DataProto({"scores": np.ones(3, np.float32)}))
    with pytest.raises(ValueError, match="'more' has 4 rows, the batch 3"):
        batch.union(DataProto({"more": np.ones(4)}))
    with pytest.raises(ValueError, match="meta_info 'step' is on both sides"):
        batch.union(DataProto(meta_info={"step": 4}))
    assert "more" not in batch.batch


def test_concat_joins_metrics_and_asks_for_equal_columns():
    parts = batch_of(4).chunk(2)
    parts[0].meta_info["metrics"] = {"loss": 1.0, "lr": [0.1]}
    parts[1].meta_info["metrics"] = {"loss": [2.0, 3.0]}
    assert DataProto.concat(parts).meta_info == {"step": 3, "metrics": {"loss": [1.0, 2.0, 3.0], "lr": [0.1]}}
    with pytest.raises(ValueError, match="'scores' is not in every part"):
        DataProto.concat([parts[0], parts[1].select(["responses"])])
    parts[1].meta_info["step"] = 4
    with pytest.raises(ValueError, match="meta_info 'step'"):
        DataProto.concat(parts)


@pytest.mark.parametrize("batch, objects, message", [
    ({"a": np.zeros(2), "b": np.zeros(3)}, {}, "'b' has 3 rows, the batch 2"),
    ({"a": [1, 2]}, {}, "'a' of batch must be a numeric ndarray or Ragged"),
    ({}, {"a": np.zeros(2)}, "'a' of non_tensor_batch must be an object ndarray"),
    ({"a": np.zeros(1)}, {"a": np.empty(1, object)}, "'a' is both in"),
])  # yapf: disable
def test_inconsistent_columns_are_named(batch, objects, message):
    with pytest.raises(ValueError, match=message):
        DataProto(batch, objects)


def test_pickles_out_of_band():
    batch, buffers = batch_of(9), []
    payload = pickle.dumps(batch[2:8], protocol=5, buffer_callback=buffers.append)
    sizes = sorted(buffer.raw().nbytes for buffer in buffers)
    again = pickle.loads(payload, buffers=buffers)
    assert equal(again, batch[2:8])
    assert sizes == [6 * 4, 6 * 4, 7 * 8]  # scores, values and offsets, of these six rows alone
    assert np.shares_memory(again.batch["scores"], batch.batch["scores"])
    assert np.shares_memory(again.batch["responses"].values, batch.batch["responses"].values)


def test_ray_shares_columns_read_only():
    ray = pytest.importorskip("ray")
    big = DataProto({"a": np.ones((1000, 1000)), "r": Ragged.from_lengths(np.ones(10**6, np.int32), [10**3] * 10**3)})
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=10**8)
    try:
        reference = ray.put(big)
        first, second = ray.get(reference), ray.get(reference)
        for array, other in ((first.batch["a"], second.batch["a"]), (first.batch["r"].values,
                                                                     second.batch["r"].values)):
            assert not array.flags.writeable and np.shares_memory(array, other)
        assert equal(DataProto.concat(first.chunk(3)), big)
        first.reorder(np.arange(1000)[::-1])
        assert len(first) == 1000
        del first, second, array, other
    finally:
        ray.shutdown()


def test_neither_torch_nor_ray_is_imported():
    code = "import sys, verl.protocol; sys.exit(bool({'torch', 'ray'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_sizes(capsys):
    batch = DataProto({"a": np.zeros(2**17), "r": Ragged.from_lengths(np.zeros(0, np.int8), np.zeros(2**17, int))})
    assert batch.nbytes == 2 * 2**20 + 8
    batch.print_size("after rollout: ")
    assert capsys.readouterr().out == "after rollout: DataProto of 131072 rows: 2.0 MiB\n"
    assert len(DataProto()) == 0 and DataProto().nbytes == 0
