"""A real group of two processes: what it returns, and what it says when a worker fails."""
import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest
import ray

from tests.support.workers import DemoWorker
from verl.protocol import DataProto
from verl.single_controller import ResourcePool, WorkerFailure, WorkerGroup
from verl.utils.errors import OutOfMemory
from verl.utils.ragged import Ragged

pytestmark = pytest.mark.usefixtures("ray_cluster")
SOON = 15.0  # s; far below the 300 s after which a gloo collective gives up


@pytest.fixture(scope="module")
def group(ray_cluster):
    pool = ResourcePool(2, 1, "cpu")
    yield WorkerGroup("demo", DemoWorker, pool, call_timeout=60)
    pool.release()


@pytest.fixture
def doomed(ray_cluster):
    """Two ranks joined by gloo, for tests that do not leave them well."""
    pool = ResourcePool(2, 1, "cpu")
    group = WorkerGroup("demo", DemoWorker, pool, call_timeout=60)
    group.join(group.free_address())
    yield group
    group.shutdown()
    pool.release()


def named(group, rank):
    where = group.locations[rank]
    return f"demo worker {rank} (node {where['ip']}, pid {where['pid']})"


def make_batch(rows):
    ragged = Ragged.from_rows([np.arange(i % 3 + 1) + 10 * i for i in range(rows)])
    return DataProto.from_dict({"x": np.arange(rows), "ragged": ragged}, {"uid": [f"row {i}" for i in range(rows)]})


def test_a_batch_is_split_in_contiguous_chunks_and_joined_in_order(group):
    batch = make_batch(6)
    marked = group.mark(batch, 3, other=DataProto.from_dict({"x": np.arange(10, 14)})[[0, 1, 2, 3, 0, 1]])
    assert marked.batch["x"].tolist() == [0, 1, 2, 3, 4, 5]
    assert marked.batch["rank"].tolist() == [0, 0, 0, 1, 1, 1]
    assert marked.batch["factor"].tolist() == [3] * 6  # what is no batch goes to every rank as it is
    assert marked.batch["other"].tolist() == [10, 11, 12, 13, 10, 11]  # split alike, by keyword too
    assert marked.batch["ragged"].equals(batch.batch["ragged"])
    assert marked.non_tensor_batch["uid"].tolist() == batch.non_tensor_batch["uid"].tolist()
    assert group.count(batch) == [3, 3]


def test_rows_that_do_not_divide_are_refused_before_anyone_works(group):
    with pytest.raises(ValueError, match="5 rows do not divide over 2 workers; pad the batch or change its size"):
        group.count(make_batch(5))


def test_a_broadcast_answers_in_rank_order_whoever_is_first(group):
    assert group.answer_late([0.3, 0.0], "word") == [(0, "word"), (1, "word")]


def test_rank_zero_answers_alone(group):
    assert group.rank_alone() == 0


def test_what_is_not_registered_is_no_method_of_the_group(group):
    assert not hasattr(group, "not_registered")


def test_locations_are_the_real_processes(group):
    pids = [where["pid"] for where in group.locations]
    assert len(set(pids)) == 2 and all(psutil.pid_exists(pid) for pid in pids)


def test_a_late_worker_is_named_within_the_deadline(group):
    began = time.monotonic()
    with pytest.raises(WorkerFailure) as error:
        group.answer_late([0.0, 3.0], "word", timeout=1.0)
    assert time.monotonic() - began < 2.5
    text = str(error.value)
    assert text.startswith("answer_late: no answer within 1 s") and named(group, 1) in text
    assert named(group, 0) not in text
    assert "trainer.call_timeout" in text
    assert group.rank_alone() == 0  # the group itself is whole: rank 1 was late, not lost
    assert group.answer_late([0.0, 0.0], "later")[1] == (1, "later")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_users_error_arrives_as_it_was_raised(group, rank):
    with pytest.raises(ValueError, match="^data.files=x: no such file$") as error:
        group.raise_on(rank, "user")
    assert not isinstance(error.value, ray.exceptions.RayError)


def test_an_error_that_explains_itself_gets_its_worker_and_no_traceback(group):
    with pytest.raises(OutOfMemory) as error:
        group.raise_on(1, "explained")
    assert str(error.value).endswith(f"{named(group, 1)}: out of memory in update_actor")


def test_an_exception_that_cannot_be_unpickled_still_names_its_worker(group):
    with pytest.raises(WorkerFailure) as error:
        group.raise_on(1, "picky")
    assert named(group, 1) in str(error.value) and "the disk is full (7)" in str(error.value)


def test_the_cause_is_named_though_a_peer_complained_earlier(group):
    group.join(group.free_address())
    with pytest.raises(WorkerFailure) as error:
        group.leave_and_raise(1)
    assert str(error.value).startswith(f"{named(group, 1)} failed in leave_and_raise:")
    assert "ZeroDivisionError" in str(error.value)


def test_who_raises_is_named_though_its_peer_hangs_in_a_collective(doomed):
    rank, began = 1, time.monotonic()
    with pytest.raises(WorkerFailure) as error:
        doomed.raise_while_others_reduce(rank)
    assert time.monotonic() - began < SOON
    text = str(error.value)
    assert text.startswith(f"{named(doomed, rank)} failed in raise_while_others_reduce:")
    assert "divide_by_nothing" in text and "ZeroDivisionError" in text  # its own traceback
    assert named(doomed, 1 - rank) not in text


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_worker_is_named_though_its_peer_complains_too(doomed, rank):
    killed_at = []

    def kill():
        killed_at.append(time.monotonic())
        os.kill(doomed.locations[rank]["pid"], signal.SIGKILL)

    threading.Timer(1.0, kill).start()
    with pytest.raises(WorkerFailure) as error:
        doomed.reduce_forever()
    assert time.monotonic() - killed_at[0] < SOON
    assert str(error.value).startswith(f"{named(doomed, rank)} died in reduce_forever:")


def test_a_pool_gives_its_bundles_back_and_ends_its_workers():
    free = lambda: ray.available_resources().get("CPU", 0)
    until(lambda: free() == 2)  # two belong to the module's group
    pool = ResourcePool(1, 1, "cpu")
    group = WorkerGroup("demo", DemoWorker, pool, call_timeout=60)
    until(lambda: free() == 1)
    pool.release()
    until(lambda: free() == 2)
    until(lambda: not psutil.pid_exists(group.locations[0]["pid"]))


def test_a_pool_that_asks_too_much_of_this_cluster_is_refused_at_once():
    with pytest.raises(ValueError, match="trainer.n_gpus_per_node=5 and trainer.nnodes=1 .* have \\[4\\] CPUs"):
        WorkerGroup("demo", DemoWorker, ResourcePool(5, 1, "cpu"), call_timeout=60)


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
