import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from reward_score.pool import RewardPool, RewardRequest
from tests.support.processes import still_running

HOSTILE = str(Path(__file__).with_name("hostile.py"))
ROOT = Path(__file__).parents[2]
TIMEOUT = 1.0


def hostile(command):
    return RewardRequest("hostile", command, "")


def gsm8k(number, truth=None):
    return RewardRequest("openai/gsm8k", f"#### {number}", str(number if truth is None else truth))


def family(pid=None):
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


@pytest.fixture(scope="module")
def pool():
    with RewardPool(num_workers=2, timeout=TIMEOUT, memory_limit_mb=300, custom=(HOSTILE, "compute_score", {})) as pool:
        yield pool


@pytest.fixture
def healthy(pool):
    """After the test, the pool scores on."""
    yield
    assert [result.status for result in pool.score([hostile("right")] * 8)] == ["ok"] * 8


def test_scores_in_order_with_registered_functions():
    with RewardPool(num_workers=2, data_sources=["openai/gsm8k", "math"]) as pool:
        results = pool.score([gsm8k(i, i - i % 2) for i in range(100)])
        assert [result.score for result in results] == [float(i % 2 == 0) for i in range(100)]
        assert results[3].extra == {"pred": "3"}
        assert {result.status for result in results} == {"ok"}
        assert 0 < results[0].seconds < 1
        algebra = pool.score([RewardRequest("math", r"\boxed{x+x}", "2x"), RewardRequest("nothing", "", "")])
        assert algebra[0].acc == 1.0
        assert algebra[1].status == "error"
        assert algebra[1].error.startswith("nothing: ValueError: no reward scores data_source 'nothing'")


@pytest.mark.parametrize("command", ["loop", "loop_in_c", "sleep 60"])
def test_overdue_answer_is_killed(pool, healthy, command):
    start = time.monotonic()
    result, = pool.score([hostile(command)])
    assert (result.status, result.score, result.seconds) == ("timeout", 0.0, TIMEOUT)
    assert result.error == "hostile: no score within 1 s"
    assert TIMEOUT <= time.monotonic() - start < TIMEOUT + 1


@pytest.mark.parametrize(("command", "cause"), [
    ("hog", "out of memory (reward_model.memory_limit_mb=300)"),
    ("exit 0", "its process exited with code 0"),
    ("exit 3", "its process exited with code 3"),
    ("segfault", "its process was killed by SIGSEGV"),
])
def test_death_of_a_worker_is_a_crash(pool, healthy, command, cause):
    result, = pool.score([hostile(command)])
    assert (result.status, result.score, result.error) == ("crash", 0.0, f"hostile: {cause}")


@pytest.mark.parametrize(("command", "cause"), [
    ("fail", "KeyError: 'no such thing\\nreally' (hostile.py:"),
    ("sys.exit", "SystemExit: 0 (hostile.py:"),
    ("none", "ValueError: reward of 'hostile' returned score of type NoneType"),
    ("unpicklable", "ValueError: reward of 'hostile' returned extra key 'thing'"),
])
def test_exception_is_an_error(pool, healthy, command, cause):
    result, = pool.score([hostile(command)])
    assert (result.status, result.score) == ("error", 0.0)
    assert result.error.startswith("hostile: " + cause)
    assert "\n" not in result.error


@pytest.mark.parametrize("kind", ["child", "session", "daemon"])
@pytest.mark.parametrize("then", ["loop", "exit 1", "segfault"])
def test_what_a_reward_started_dies_with_it(pool, healthy, tmp_path, kind, then):
    result, = pool.score([hostile(f"start_{kind} {tmp_path / 'pid'} {then}")])
    assert result.status in ("timeout", "crash")
    assert not still_running([int((tmp_path / "pid").read_text())], 5.0)


def test_deadline_counts_from_an_answers_own_start():
    with RewardPool(num_workers=1, timeout=TIMEOUT, custom=(HOSTILE, "compute_score", {})) as pool:
        results = pool.score([hostile("sleep 0.4")] * 4)
    assert [result.status for result in results] == ["ok"] * 4


def test_hostile_answers_do_not_touch_their_neighbours(pool):
    commands = ["right", "loop", "right", "exit 1", "fail", "right", "loop_in_c", "right", "segfault", "right"]
    expected = {
        "right": "ok",
        "fail": "error",
        "exit 1": "crash",
        "segfault": "crash",
        "loop": "timeout",
        "loop_in_c": "timeout"
    }
    assert [result.status for result in pool.score([hostile(command) for command in commands])
           ] == [expected[c] for c in commands]


def test_on_a_busy_machine_a_crash_is_charged_to_its_own_answer(pool, healthy):
    commands = (["right"] * 9 + ["exit 1"]) * 60
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        results = pool.score([hostile(command) for command in commands])
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert [result.status for result in results] == (["ok"] * 9 + ["crash"]) * 60


def test_an_answer_is_not_held_to_what_an_earlier_one_left_behind():
    with RewardPool(num_workers=1, timeout=TIMEOUT, custom=(HOSTILE, "compute_score", {})) as pool:
        results = pool.score([hostile("die_later 0.2"), hostile("sleep 0.4"), hostile("exit 1")])
    assert [result.status for result in results] == ["ok", "ok", "crash"]
    assert 0 < results[2].seconds < TIMEOUT


def test_an_answer_behind_a_hanging_one_is_scored_elsewhere():
    with RewardPool(num_workers=2, timeout=20, custom=(HOSTILE, "compute_score", {})) as pool:
        futures = [pool.submit(hostile(command)) for command in ["sleep 0.3", "sleep 0.3", *["right"] * 3, "loop"]]
        futures += [pool.submit(hostile("right")) for _ in range(5)]
        assert [future.result(10).status for future in futures if future is not futures[5]] == ["ok"] * 10


def test_a_large_answer_and_a_large_result(pool, healthy):
    results = pool.score([hostile("loop " + "x" * 10**7), hostile("right"), hostile("echo " + "x" * 10**7)])
    assert [result.status for result in results] == ["timeout", "ok", "error"]
    assert "the result takes" in results[2].error


def test_a_service_that_is_down_is_neither_right_nor_wrong(pool, healthy):
    result, = pool.score([hostile("ask http://judge")])
    assert (result.status, result.score) == ("unavailable", 0.0)
    assert result.error == "hostile: http://judge does not answer"


def test_workers_that_die_between_answers_are_replaced(pool, healthy):
    results = pool.score([hostile("die_later 0.1")] * 4)
    assert {result.status for result in results} <= {"ok", "crash"}
    time.sleep(0.3)
    assert [result.status for result in pool.score([hostile("sleep 0.05")] * 4)] == ["ok"] * 4


def test_killed_idle_workers_are_replaced(pool, healthy):
    workers = {pool.score([hostile("pid")])[0].extra["pid"] for _ in range(20)}
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    assert [result.status for result in pool.score([hostile("right")] * 4)] == ["ok"] * 4


def test_eight_threads_at_once(pool, healthy):
    outcomes = [None] * 8

    def score(index):
        outcomes[index] = pool.score([hostile("right" if i % 2 else "fail") for i in range(index, index + 20)])

    threads = [threading.Thread(target=score, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, results in enumerate(outcomes):
        assert [result.status for result in results] == ["ok" if i % 2 else "error" for i in range(index, index + 20)]


def test_event_loop(pool, healthy):

    async def score():
        futures = [asyncio.wrap_future(pool.submit(hostile(command))) for command in ("sleep 0.2", "right", "loop")]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(pool.submit(hostile("sleep 0.5"))), 0.05)
        return await asyncio.gather(*futures)

    assert [result.status for result in asyncio.run(score())] == ["ok", "ok", "timeout"]


def test_async_function_and_its_arguments():
    with RewardPool(num_workers=1, custom=(HOSTILE, "compute_score_async", {"factor": 0.5})) as pool:
        results = pool.score([hostile("")] * 3)
    assert [(result.score, result.acc, result.status) for result in results] == [(0.5, 0.0, "ok")] * 3
    assert len({result.extra["loop"] for result in results}) == 1


@pytest.mark.parametrize(("settings", "words"), [
    ({
        "num_workers": 0
    }, r"reward_model\.num_workers"),
    ({
        "timeout": -1
    }, r"reward_model\.timeout"),
    ({
        "data_sources": ["mth"]
    }, "nearest known pattern"),
    ({
        "custom": (HOSTILE, "compute", {})
    }, r"custom_reward_function\.name='compute'"),
    ({
        "custom": ("/nowhere.py", "compute_score", {})
    }, r"custom_reward_function\.path='/nowhere\.py'"),
])
def test_bad_settings_are_told_at_once(settings, words):
    before = family()
    with pytest.raises(ValueError, match=words):
        RewardPool(**settings)
    assert family() == before


def test_a_file_that_ends_its_process_is_told_at_once(tmp_path):
    (tmp_path / "bad.py").write_text("import os\nos._exit(4)\n")
    with pytest.raises(ValueError, match="workers do not start"):
        RewardPool(num_workers=1, custom=(str(tmp_path / "bad.py"), "compute_score", {}))


def test_unpicklable_row_is_told_to_the_caller(pool, healthy):
    with pytest.raises(ValueError, match="a row of 'hostile' cannot be sent"):
        pool.submit(RewardRequest("hostile", "right", threading.Lock()))


def test_environment_is_the_owners(pool, healthy):
    results = pool.score([hostile("environ PYTHONPATH"), hostile("environ HOME")])
    assert [result.extra["value"] for result in results
           ] == [os.environ.get("PYTHONPATH", ""), os.environ.get("HOME", "")]


def test_close_leaves_no_process_and_cancels_what_waits():
    before, threads = family(), threading.active_count()
    pool = RewardPool(num_workers=2, timeout=60, custom=(HOSTILE, "compute_score", {}))
    processes = set(family()) - set(before)
    assert len(processes) >= 3
    futures = [pool.submit(RewardRequest("hostile", "loop " + "x" * 10_000, "")) for _ in range(500)]
    time.sleep(0.2)
    start = time.monotonic()
    pool.close()
    assert time.monotonic() - start < 3
    assert not still_running(processes, 0.5)
    assert all(future.cancelled() for future in futures)
    assert threading.active_count() == threads
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(hostile("right"))
    pool.close()


def test_made_and_used_in_a_thread():
    outcomes = []

    def work():
        with RewardPool(num_workers=1) as pool:
            outcomes.extend(pool.score([gsm8k(1)]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert outcomes[0].score == 1.0


def test_pool_outlives_the_thread_that_made_it():
    pools = []
    thread = threading.Thread(target=lambda: pools.append(RewardPool(num_workers=1)))
    thread.start()
    thread.join()
    time.sleep(0.5)
    with pools[0] as pool:
        assert pool.score([gsm8k(1)])[0].status == "ok"


def test_death_of_the_supervisor_is_told():
    before = set(family())
    pool = RewardPool(num_workers=1, timeout=60, custom=(HOSTILE, "compute_score", {}))
    processes = set(family()) - before
    future = pool.submit(hostile("loop"))
    time.sleep(0.2)
    psutil.Process(next(pid for pid in processes if psutil.Process(pid).ppid() == os.getpid())).kill()
    with pytest.raises(RuntimeError, match="supervisor"):
        future.result(10)
    with pytest.raises(RuntimeError, match="supervisor"):
        pool.submit(hostile("right"))
    assert not still_running(processes, 5.0)
    pool.close()


def script(text, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, *text],
                            stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE,
                            text=True,
                            env=environment,
                            **options)


def test_nothing_is_left_when_the_owner_is_killed(tmp_path):
    code = ("import sys, time\nfrom reward_score.pool import RewardPool, RewardRequest\n"
            f"pool = RewardPool(num_workers=2, timeout=600, custom=({HOSTILE!r}, 'compute_score', {{}}))\n"
            f"pool.submit(RewardRequest('hostile', 'loop', ''))\n"
            f"pool.submit(RewardRequest('hostile', 'start_child {tmp_path / 'pid'} loop_in_c', ''))\n"
            "time.sleep(0.5)\nprint('ready', flush=True)\ntime.sleep(600)\n")
    owner = script(["-c", code])
    assert owner.stdout.readline() == "ready\n"
    processes = [*family(owner.pid), int((tmp_path / "pid").read_text())]
    assert len(processes) >= 5
    owner.kill()
    owner.communicate()
    assert not still_running(processes, 5.0)


def test_workers_die_with_owner_and_supervisor():
    code = ("import time\nfrom reward_score.pool import RewardPool, RewardRequest\n"
            f"pool = RewardPool(num_workers=2, timeout=600, custom=({HOSTILE!r}, 'compute_score', {{}}))\n"
            "pool.submit(RewardRequest('hostile', 'loop', ''))\n"
            "time.sleep(0.3)\nprint('ready', flush=True)\ntime.sleep(600)\n")
    owner = script(["-c", code])
    assert owner.stdout.readline() == "ready\n"
    processes = family(owner.pid)
    supervisor, = [child.pid for child in psutil.Process(owner.pid).children()]
    os.kill(supervisor, signal.SIGSTOP)  # it cannot tidy up
    owner.kill()
    os.kill(supervisor, signal.SIGKILL)
    owner.communicate()
    assert not still_running(processes, 5.0)


def test_script_without_main_guard(tmp_path):
    (tmp_path / "train.py").write_text("print('started')\nfrom reward_score.pool import RewardPool, RewardRequest\n"
                                       "pool = RewardPool(num_workers=2)\n"
                                       "print(pool.score([RewardRequest('openai/gsm8k', '#### 1', '1')])[0].score)\n")
    out, err = script([str(tmp_path / "train.py")]).communicate(timeout=30)
    assert (out, err) == ("started\n1.0\n", "")
