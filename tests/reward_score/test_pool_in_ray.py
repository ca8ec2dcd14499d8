from pathlib import Path

import pytest
import ray

from tests.support.processes import still_running

HOSTILE = str(Path(__file__).with_name("hostile.py"))


@pytest.fixture(scope="module")
def cluster():
    root = str(Path(__file__).parents[2])
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": root}})
    yield
    ray.shutdown()


def actor_class():

    class Scorer:
        """An async actor, so that a pool is made and used where an event loop runs and `__main__` is Ray's."""

        def __init__(self):
            from reward_score.pool import RewardPool
            self.pool = RewardPool(num_workers=2, timeout=1.0, custom=(HOSTILE, "compute_score", {}))

        async def score(self, commands):
            import asyncio

            from reward_score.pool import RewardRequest
            futures = [self.pool.submit(RewardRequest("hostile", command, "")) for command in commands]
            return [result.status for result in await asyncio.gather(*map(asyncio.wrap_future, futures))]

        async def processes(self):
            import psutil
            return [process.pid for process in psutil.Process().children(recursive=True)]

    return Scorer


def test_pool_in_an_async_actor(cluster):
    actor = ray.remote(num_cpus=1)(actor_class()).remote()
    calls = [actor.score.remote(["right", "loop", "fail", "exit 1", "right"]) for _ in range(2)]
    assert ray.get(calls, timeout=60) == [["ok", "timeout", "error", "crash", "ok"]] * 2
    processes = ray.get(actor.processes.remote(), timeout=10)
    assert len(processes) >= 4
    ray.kill(actor)
    assert not still_running(processes, 10)
