"""How much memory a process takes, what it may take, and how its exceptions say that there is none left."""
import ctypes
import math
import re
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from verl.utils.errors import OutOfMemory

GIB = 2**30
CLEAR_REFS, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
SAMPLE_EVERY = 0.05  # s
NAMED = "out of memory in"
LEAST_ROOM = GIB // 4
# What torch, Ray's memory monitor, vLLM and C++ say. Ray's text on any killed process guesses at an "OOM killer".
SIGNS = ("out of memory", "allocate memory", "std::bad_alloc", "running low on memory", "memory for the cache blocks",
         "kv cache is needed", "desired gpu memory utilization")  # yapf: disable


def says_out_of_memory(text: str) -> bool:
    """Whether an exception's text is about memory that was not there."""
    return any(sign in text.lower() for sign in SIGNS)


@contextmanager
def out_of_memory_is_named(phase: str) -> Iterator[None]:
    """Whatever says here that memory ran out becomes an OutOfMemory that tells the phase and what was in use."""
    try:
        yield
    except (MemoryError, RuntimeError, ValueError) as error:  # vLLM raises ValueError for a cache that does not fit
        if isinstance(error, OutOfMemory) or not (isinstance(error, MemoryError) or says_out_of_memory(str(error))):
            raise
        raise OutOfMemory(f"{NAMED} {phase}: {_cause(error)} ({in_use()})") from None


def _cause(error: BaseException) -> str:
    """Its first line without torch's advice on fragmentation, sizes in GiB."""
    text = (str(error) or type(error).__name__).splitlines()[0].split(" If reserved but unallocated")[0]
    text = re.sub(r"\[enforce fail at .*?\] .*?\. ", "", text)
    return re.sub(r"(\d+) bytes", lambda size: f"{int(size[1]) / GIB:.2f} GiB", text)


def in_use() -> str:
    """Memory of this process and its node, as a phrase."""
    node, own = psutil.virtual_memory(), psutil.Process().memory_info().rss
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    bound = "" if limit == resource.RLIM_INFINITY else f", limited to {limit / GIB:.1f} GiB"
    cuda = ""
    if torch.cuda.is_initialized():
        free, total = torch.cuda.mem_get_info()
        cuda = (f"on the device {torch.cuda.memory_allocated() / GIB:.1f} GiB allocated and "
                f"{torch.cuda.memory_reserved() / GIB:.1f} reserved by this process, {free / GIB:.1f} of "
                f"{total / GIB:.1f} GiB free; ")
    return (f"{cuda}host memory: {own / GIB:.1f} GiB in this process{bound}, {node.used / GIB:.1f} of "
            f"{node.total / GIB:.1f} GiB used on the node")


def limit_memory(gib: float, key: str) -> None:
    """Caps the private memory of this process, and of each that it starts, at what `key` says. Beyond it allocators
    raise. ValueError for less than this process has now and room to work.

    Data is limited (RLIMIT_DATA), not address space: torch, CUDA and Ray reserve far more addresses than they touch,
    and Ray's shared memory and pinned memory belong to the node.
    """
    limit, data = int(gib * GIB), psutil.Process().memory_info().data
    if limit < data + LEAST_ROOM:
        raise ValueError(f"{key}={gib:g}: a process has {data / GIB:.2f} GiB before it loads a model; set it to "
                         f"{math.ceil((data + LEAST_ROOM) / GIB * 10) / 10} or more, and add what the model needs")
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    # Ray's handler of abort() wants memory itself: native code that got none would abort for ever.
    ctypes.CDLL(None).signal(signal.SIGABRT, signal.SIG_DFL)


class PeakMemory:
    """Most memory that this process held since `reset`, in bytes: on a GPU what torch allocated and reserved there,
    else resident host memory.

    The latter is the kernel's own high-water mark, reset in 0.01 to 0.2 ms; where it may not be reset a thread looks
    every 50 ms.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.sampler: threading.Thread | None = None
        self.sampled = 0

    def reset(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            return
        self.sampled = 0
        try:
            CLEAR_REFS.write_text("5")  # see proc(5)
        except OSError:
            if self.sampler is None:
                self.sampler = threading.Thread(target=self._sample, daemon=True)
                self.sampler.start()

    def read(self) -> tuple[int, int]:
        """(allocated, reserved); without a GPU both are the resident memory."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
        if self.sampler is None:
            peak = int(re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())[1]) * 1024
        else:
            peak = max(self.sampled, psutil.Process().memory_info().rss)
        return peak, peak

    def _sample(self) -> None:
        process = psutil.Process()
        while True:
            self.sampled = max(self.sampled, process.memory_info().rss)
            time.sleep(SAMPLE_EVERY)


class PhaseMemory:
    """Peak of each phase since the metrics were last taken."""

    def __init__(self, device: torch.device):
        self.peak, self.on_gpu = PeakMemory(device), device.type == "cuda"
        self.metrics: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A phase of the step, which is also named where memory runs out."""
        self.peak.reset()
        with out_of_memory_is_named(name):
            yield
        allocated, reserved = self.peak.read()
        self._note(f"memory/{name}_peak_gb", allocated)
        if self.on_gpu:
            self._note("perf/max_memory_allocated_gb", allocated)
            self._note("perf/max_memory_reserved_gb", reserved)

    def _note(self, name: str, size: int) -> None:
        self.metrics[name] = max(self.metrics.get(name, 0.0), size / GIB)

    def take(self) -> dict[str, float]:
        """memory/PHASE_peak_gb and, on a GPU, perf/max_memory_{allocated,reserved}_gb; in GiB."""
        metrics, self.metrics = self.metrics, {}
        return metrics
