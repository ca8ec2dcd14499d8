"""Peaks that are seen, limits that hold, and exceptions that are told apart."""
import subprocess
import sys
import time

import pytest
import torch

from verl.utils import memory
from verl.utils.errors import OutOfMemory, RunFailure
from verl.utils.memory import GIB, PeakMemory, PhaseMemory, out_of_memory_is_named, says_out_of_memory

MIB = 2**20
CPU = torch.device("cpu")
CUDA = ("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.05 GiB is "
        "free. If reserved but unallocated memory is large try setting PYTORCH_ALLOC_CONF")
KILLED = ("The actor died unexpectedly. There are some potential root causes. (1) The process is killed by SIGKILL by "
          "OOM killer due to high memory usage. (2) ray stop --force is called.")


def touch(mib: int) -> None:
    bytearray(mib * MIB)  # zeros that were written, freed at once


def test_a_peak_is_of_its_own_phase():
    phases = PhaseMemory(CPU)
    with phases.phase("quiet"):
        pass
    with phases.phase("loud"):
        touch(300)
    with phases.phase("after"):
        pass
    with phases.phase("after"):
        touch(200)
    peaks = phases.take()
    assert set(peaks) == {"memory/quiet_peak_gb", "memory/loud_peak_gb", "memory/after_peak_gb"}
    quiet, loud, after = (peaks[f"memory/{name}_peak_gb"] * GIB / MIB for name in ("quiet", "loud", "after"))
    assert loud - quiet > 290 and 190 < after - quiet < 290, "of two passes the higher; of other phases nothing"
    assert phases.take() == {}


def test_where_the_high_water_mark_cannot_be_reset_samples_are_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "not there" / "clear_refs")
    peak = PeakMemory(CPU)
    peak.reset()
    before = peak.read()[0]
    held = bytearray(300 * MIB)
    time.sleep(10 * memory.SAMPLE_EVERY)
    assert len(held) and peak.read()[0] - before > 290 * MIB
    del held
    assert peak.read()[0] - before > 290 * MIB
    peak.reset()
    assert peak.read()[0] - before < 200 * MIB


LIMITED = """
import sys
import numpy as np
import torch
from verl.utils.memory import limit_memory, out_of_memory_is_named
try:
    limit_memory(0.01, "trainer.worker_memory_limit_gb")
except ValueError as error:
    print(error)
limit_memory(3.0, "trainer.worker_memory_limit_gb")
torch.ones(1 << 28)  # 1 GiB fits
for allocate in (lambda: torch.ones(1 << 30), lambda: np.ones(1 << 29), lambda: bytearray(4 << 30)):
    try:
        with out_of_memory_is_named("update_actor"):
            allocate()
    except RuntimeError as error:
        print(error)
"""


def test_a_limited_process_says_so_whoever_allocates():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=120, check=True)
    too_little, by_torch, by_numpy, by_python = done.stdout.splitlines()
    assert too_little.startswith("trainer.worker_memory_limit_gb=0.01: a process has 0.")
    assert by_torch.startswith("out of memory in update_actor: DefaultCPUAllocator: can't allocate memory: you tried "
                               "to allocate 4.00 GiB")
    assert by_numpy.startswith("out of memory in update_actor: Unable to allocate 4.00 GiB for an array")
    assert by_python.startswith("out of memory in update_actor: MemoryError")
    assert all(", limited to 3.0 GiB, " in line and "GiB used on the node)" in line
               for line in (by_torch, by_numpy, by_python))


def test_what_is_about_memory_is_named_once():
    with pytest.raises(OutOfMemory) as caught, out_of_memory_is_named("gen"), out_of_memory_is_named("ref"):
        raise torch.OutOfMemoryError(CUDA)
    text = str(caught.value)
    assert text.startswith("out of memory in ref: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")
    assert "try setting" not in text and "out of memory in gen" not in text


@pytest.mark.parametrize("error", [ValueError("n=3 is too small"), RuntimeError(KILLED), RunFailure("no reward")])
def test_anything_else_stays_what_it_is(error):
    with pytest.raises(type(error)) as caught, out_of_memory_is_named("gen"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("text, about_memory", [
    (CUDA, True), ("2 worker(s) were killed due to the node running low on memory.", True), (KILLED, False),
    ("No available memory for the cache blocks. Try increasing `gpu_memory_utilization`", True),
    ("Free memory on device (9/80 GiB) on startup is less than desired GPU memory utilization (0.9)", True),
    ("To serve at least one request with the model's max seq len, 2 GiB KV cache is needed", True),
    ("connection reset by peer", False),
])  # yapf: disable
def test_texts_are_told_apart(text, about_memory):
    assert says_out_of_memory(text) == about_memory


@pytest.mark.gpu
def test_a_peak_of_the_device():
    phases = PhaseMemory(torch.device("cuda"))
    with phases.phase("big"):
        torch.ones(1 << 28, device="cuda")
    with phases.phase("small"):
        torch.ones(1 << 20, device="cuda")
    peaks = phases.take()
    assert peaks["memory/big_peak_gb"] - peaks["memory/small_peak_gb"] == pytest.approx(1 - 2**-8, abs=0.01)
    assert peaks["perf/max_memory_allocated_gb"] == peaks["memory/big_peak_gb"] <= peaks["perf/max_memory_reserved_gb"]
