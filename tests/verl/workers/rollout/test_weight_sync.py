"""The order of a publication, and what the probe refuses; the processes are stand-ins that write down their calls."""
import asyncio
import os
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from verl.config.rollout import RolloutConfig
from verl.protocol import DataProto
from verl.utils.errors import RunFailure
from verl.utils.ragged import Ragged
from verl.workers.rollout.base import Completion, Sampling
from verl.workers.rollout.weight_sync import WeightSync, probe, shared_memory_directory


class Trainer:
    """Two training workers on each of two nodes; the first of a node writes."""
    world_size = 4
    locations = [{"ip": ip} for ip in ("a", "a", "b", "b")]

    def __init__(self, log):
        self.log = log

    def write_weights(self, directory, dtype):
        self.log.append(("write", directory, dtype))
        return [directory, "", directory, ""]

    def remove_weights(self, directory):
        self.log.append(("remove", directory))


def replicas(log):
    update = lambda version, directories, chosen: log.append(("update", version, directories, chosen))
    return SimpleNamespace(wake=lambda tag: log.append(("wake", tag)),
                           start=lambda chosen: log.append(("start", chosen)),
                           update_weights=update)


def test_a_publication_wakes_weights_transfers_and_wakes_the_cache():
    log = []
    sync = WeightSync(Trainer(log), replicas(log), RolloutConfig(dtype="fp32"))
    assert sync.publish() == 1
    directory = str(sync.directory / "version_1")
    assert log == [("wake", "weights"), ("write", directory, "fp32"),
                   ("update", 1, {
                       "a": directory,
                       "b": directory
                   }, None), ("remove", directory), ("wake", "kv_cache")]
    assert sync.publish() == 2 and log[6][1].endswith("version_2")


@pytest.mark.parametrize("transport", ["file", "ipc"])
def test_a_successor_takes_the_current_weights_from_files(transport):
    log = []
    sync = WeightSync(Trainer(log), replicas(log), RolloutConfig(dtype="fp32", transport=transport))
    asyncio.run(sync.bring_up(3))
    assert log == [("start", [3])]  # version 0 is what it loads
    sync.version = 7
    log.clear()
    asyncio.run(sync.bring_up(1))
    directory = str(sync.directory / "version_7")
    assert log == [("start", [1]), ("write", directory, "fp32"),
                   ("update", 7, {"a": directory, "b": directory}, [1]), ("remove", directory)]  # yapf: disable


def test_replicas_that_are_lost_in_a_transfer_are_dropped():
    log = []
    trainer, config = Trainer(log), RolloutConfig(transport="ipc", request_timeout=9.0)
    trainer.send_weights = lambda handles, dtype, timeout: [{2: "failed in transfer"}, {}]
    ours = SimpleNamespace(wake=lambda tag: None, handles={}, config=config,
                           drop=lambda *what: log.append(what), set_version=log.append)  # yapf: disable
    WeightSync(trainer, ours, config).publish()
    assert log == [(2, "failed in transfer"), 1]


def test_closing_removes_what_is_left_on_this_node():
    sync = WeightSync(Trainer([]), replicas([]), RolloutConfig())
    (sync.directory / "version_1").mkdir(parents=True)
    sync.close()
    assert not sync.directory.exists()
    sync.close()  # twice is no error
    assert shared_memory_directory() != shared_memory_directory()


def test_what_a_driver_of_another_node_has_here_is_kept():
    child = subprocess.Popen(["true"])
    child.wait()
    here = shared_memory_directory()
    theirs = here.with_name(
        here.name.replace(os.uname().nodename, "another-node").replace(str(os.getpid()), str(child.pid)))
    theirs.mkdir()
    shared_memory_directory()
    assert theirs.exists()
    theirs.rmdir()


def test_what_a_killed_driver_left_is_removed():
    child = subprocess.Popen(["true"])
    child.wait()
    ours, theirs = shared_memory_directory(), shared_memory_directory()
    theirs = theirs.with_name(theirs.name.replace(str(os.getpid()), str(child.pid)))
    for folder in (ours, theirs):
        folder.mkdir()
    shared_memory_directory()
    assert ours.is_dir() and not theirs.exists()
    ours.rmdir()


class Probed:
    """Router, trainer and weight sync in one: the engine's log-probs are 0, the trainer's `differences`."""
    world_size = 2

    def __init__(self, differences, log=None):
        self.differences = np.array(differences, np.float32)
        self.log = [] if log is None else log
        self.replicas = SimpleNamespace(sleep=lambda: self.log.append("sleep"))
        self.publish = lambda: self.log.append("publish")

    async def generate(self, units):
        assert units[0][0].prompt_ids.tolist() == [5, 6] and len(units) == len(units[0]) == 1
        self.log.append("generate")
        count = len(self.differences)
        yield [
            Completion("probe", np.arange(count, dtype=np.int32), np.zeros(count, np.float32), "length", ((1, count),))
        ]

    def compute_log_prob(self, batch):
        self.log.append("compute")
        assert len(batch) == 2 and batch.batch["prompts"][1].tolist() == [5, 6]
        return DataProto.from_dict({"log_probs": Ragged.from_rows([self.differences] * 2)})


def run_probe(differences, **options):
    both = Probed(differences, **options)
    return probe(both, both, np.array([5, 6], np.int32), Sampling(0.0, 4), tolerance=1e-3,
                 offloaded=both if options else None)  # yapf: disable


def test_the_probe_is_the_largest_difference():
    assert run_probe([0.0, -5e-4, 1e-4]) == pytest.approx(5e-4)


@pytest.mark.parametrize("differences", [[0.0, 2e-3], [-2e-3, 0.0], [0.0, float("nan")]])
def test_weights_that_did_not_arrive_stop_the_run(differences):
    with pytest.raises(RunFailure, match=r"log-probs of a probe differ by .* \(tolerance 1e-03\)"):
        run_probe(differences)


def test_an_offloaded_trainer_computes_while_the_replicas_sleep():
    log = []
    run_probe([0.0], log=log)
    assert log == ["generate", "sleep", "compute", "publish"]
