"""What runs inside a reward worker: one process, one answer at a time; whatever a function does becomes a result."""

import asyncio
import contextlib
import inspect
import os
import pickle
import pkgutil
import time
import traceback
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

from reward_score import default_compute_score, normalize_result, resolve
from reward_score.custom import load_custom_function
from reward_score.processes.limits import die_with_parent, lead_group, limit_memory
from reward_score.processes.messages import PoolSettings, RewardRequest, RewardResult
from reward_score.result import RewardUnavailable

EXIT_OUT_OF_MEMORY = 77  # the worker ends with it, so that its successor starts with an empty heap
MAX_RESULT_BYTES = 2**20


class _Scorer:
    """This worker's reward function; set once by `start_worker`."""

    function: Callable[..., object] = default_compute_score
    kwargs: dict[str, object] = {}
    problem: str = ""  # why it cannot score
    runner: asyncio.Runner | None = None


def run_worker(connection: Connection, settings: PoolSettings) -> None:
    """The life of a worker: says what keeps it from scoring (nothing: ""), then scores what it is sent, in order."""
    start_worker(settings)
    connection.send_bytes(_Scorer.problem.encode())
    with contextlib.suppress(EOFError):
        while True:
            connection.send_bytes(score_one(connection.recv_bytes()))


def start_worker(settings: PoolSettings) -> None:
    """Makes this process a worker, outside any deadline."""
    lead_group()
    die_with_parent()
    limit_memory(settings.memory_limit_mb)
    os.environ.pop("PYTHONPATH", None)
    if settings.python_path is not None:
        os.environ["PYTHONPATH"] = settings.python_path
    os.environ["REWARD_TIMEOUT"] = str(settings.timeout)  # lets a sandbox end in time, which spares its worker
    os.environ.setdefault("REWARD_JUDGE_BUDGET", f"{0.8 * settings.timeout:g}")  # a judge's silence is no timeout
    _Scorer.kwargs = settings.kwargs
    if settings.custom is not None:
        _Scorer.kwargs = settings.custom.kwargs
        try:
            _Scorer.function = load_custom_function(settings.custom.path, settings.custom.name)
        except ValueError as error:
            _Scorer.problem = str(error)
    for warm_up in {resolve(source).warm_up for source in settings.data_sources} - {""}:
        pkgutil.resolve_name(warm_up)()


def score_one(payload: bytes) -> bytes:
    """Scores a pickled `RewardRequest`; returns the pickled `RewardResult`.

    Pickled here, so that a value which cannot be becomes an error of this answer and of nothing else.
    """
    start = time.perf_counter()
    data_source = "?"
    try:
        request = pickle.loads(payload)
        data_source = request.data_source
        fields = normalize_result(_call(request), data_source)
        result = RewardResult(fields.pop("score"), fields.pop("acc"), "ok", fields, "", time.perf_counter() - start)
        data = pickle.dumps(result)
        if len(data) > MAX_RESULT_BYTES:
            raise ValueError(f"the result takes {len(data)} bytes, over {MAX_RESULT_BYTES}; return shorter extra keys")
        return data
    except RewardUnavailable as error:
        result = RewardResult(0.0, 0.0, "unavailable", {}, f"{data_source}: {error}", time.perf_counter() - start)
        return pickle.dumps(result)
    except MemoryError:
        os._exit(EXIT_OUT_OF_MEMORY)
    except BaseException as error:  # noqa: BLE001 -- the recovery seam; sys.exit() too is only an error
        cause = f"{data_source}: {_last_line(error)}"
        return pickle.dumps(RewardResult(0.0, 0.0, "error", {}, cause, time.perf_counter() - start))


def _call(request: RewardRequest) -> object:
    value = _Scorer.function(data_source=request.data_source,
                             solution_str=request.solution_str,
                             ground_truth=request.ground_truth,
                             extra_info=request.extra_info,
                             **_Scorer.kwargs)
    if not inspect.isawaitable(value):
        return value
    if _Scorer.runner is None:
        _Scorer.runner = asyncio.Runner()  # one event loop per worker: clients that were opened in it stay usable
    return _Scorer.runner.run(_wait(value))


async def _wait(value: Awaitable[object]) -> object:
    return await value


def _last_line(error: BaseException) -> str:
    """The end of a traceback as one line: `ValueError: message (file.py:12)`."""
    cause = " ".join("".join(traceback.format_exception_only(error)).split())
    frames = traceback.extract_tb(error.__traceback__)
    return f"{cause} ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else cause
