"""The router's decisions, in virtual time, with replicas that follow a script."""
import asyncio
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.replicas import Call, ScriptedReplicas, unit
from tests.support.virtual_time import run_in_virtual_time
from verl.single_controller import WorkerFailure
from verl.workers.rollout.router import RolloutRouter

DEADLINE = 100.0  # s of virtual time


def route(units, *scripts, capacity=4, pause=0.0):
    """Runs `units`; -> (ids of completions in order, when each came, the replicas)."""

    async def main():
        replicas = ScriptedReplicas(*scripts, capacity=capacity)
        router = RolloutRouter(replicas, capacity, DEADLINE)
        arrived, times = [], []
        try:
            async for completions in router.generate(units):
                arrived += [c.request_id for c in completions]
                times += [asyncio.get_running_loop().time()] * len(completions)
                await asyncio.sleep(pause)
        except WorkerFailure as failure:
            arrived = failure
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert set(router.in_flight) == set(replicas.handles) and not any(router.in_flight.values())
        return arrived, times, replicas

    return run_in_virtual_time(main())


def ids(*units):
    return sorted(request.request_id for requests in units for request in requests)


def test_a_unit_goes_to_the_replica_with_the_least_in_flight():
    units = [unit("a", 3), unit("b", 1), unit("c", 1), unit("d", 1), unit("e", 1)]
    arrived, _, replicas = route(units, [], [], capacity=10)
    assert replicas.all[0].received == [ids(units[0]), ids(units[4])]
    assert replicas.all[1].received == [ids(units[1]), ids(units[2]), ids(units[3])]
    assert sorted(arrived) == ids(*units)


def test_more_than_the_capacity_waits_until_something_finishes():
    units = [unit(name, 2) for name in "abcde"]
    arrived, times, replicas = route(units, [Call(sizes=(2,), delay=5.0)], [Call(sizes=(2,), delay=2.0)] * 4,
                                     capacity=2)
    assert sorted(arrived) == ids(*units)
    assert [len(replica.received) for replica in replicas.all] == [2, 3]
    assert sorted(set(times)) == [2.0, 4.0, 5.0, 6.0]


def test_a_unit_larger_than_the_capacity_runs_alone():
    units = [unit("a", 1), unit("large", 9), unit("b", 1)]
    arrived, _, replicas = route(units, [], capacity=2)
    assert sorted(arrived) == ids(*units) and len(replicas.all[0].received) == 3


def test_completions_arrive_as_they_finish_not_as_they_were_sent():
    units = [unit("slow", 2), unit("quick", 2)]
    arrived, times, _ = route(units, [Call(sizes=(1, 1), delay=4.0)], [Call(sizes=(1, 1), delay=1.0)])
    assert arrived == ["quick/0", "quick/1", "slow/0", "slow/1"] and times == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("end", ["die", "oom", "raise", "short"])
def test_what_a_lost_replica_still_owes_is_sent_to_another(end):
    arrived, _, replicas = route([unit("a", 3), unit("b", 1)], [Call(end, sizes=(1,))], [])
    assert sorted(arrived) == ids(unit("a", 3), unit("b", 1))
    assert replicas.all[1].received == [["b/0"], ["a/1", "a/2"]]  # a/0 had arrived and stays
    assert replicas.dropped == [0]


def test_all_units_of_a_lost_replica_are_sent_on_and_it_is_lost_once():
    units = [unit(name, 1) for name in "abcd"]
    arrived, _, replicas = route(units, [Call("die"), Call("stall")], [Call(delay=9.0)])
    assert sorted(arrived) == ids(*units)
    assert replicas.dropped == [0] and len(replicas.all[0].received) == 2


@pytest.mark.parametrize("hops", range(8))
def test_a_replica_may_die_in_the_instant_in_which_it_gets_more(hops):
    units = [unit(name, 1) for name in ("done at 1", "x", "dies at 1", "y", "follows at 1")]
    arrived, _, replicas = route(units, [Call(), Call("die", hops=hops)],
                                 [Call(delay=9.0), Call(delay=9.0)],
                                 capacity=2)
    assert sorted(arrived) == ids(*units) and replicas.dropped == [0]


def test_a_stalled_replica_is_given_up_at_the_deadline():
    arrived, times, replicas = route([unit("a", 2)], [Call("stall", sizes=(1,))], [])
    assert arrived == ["a/0", "a/1"] and times == [1.0, DEADLINE + 1.0]
    assert replicas.dropped == [0]


@pytest.mark.parametrize("end, reason", [
    ("stall", r"no answer within 100 s \(rollout.request_timeout\)"),
    ("die", "the actor died"),
    ("oom", "low on memory"),
    ("raise", "boom"),
    ("short", "it left 1 of 2 requests unanswered"),
])
def test_the_last_replicas_failure_names_it(end, reason):
    failure, times, replicas = route([unit("a", 2)], [Call("die")], [Call(end, sizes=(1,))])
    assert isinstance(failure, WorkerFailure) and replicas.dropped == [0, 1] and len(times) == 1
    assert str(failure).startswith("scripted replica 1 (node here, pid 1) was the last rollout replica and failed: ")
    assert re.search(reason, str(failure))


def test_a_users_error_is_raised_as_it_is_and_costs_no_replica():

    async def main():
        replicas = ScriptedReplicas([Call("refuse")], [], capacity=4)
        router = RolloutRouter(replicas, 4, DEADLINE)
        with pytest.raises(ValueError, match="^the prompt is too long$"):
            await anext(router.generate([unit("a", 1)]))
        assert router.in_flight == {0: 0, 1: 0} and not replicas.dropped

    run_in_virtual_time(main())


def test_a_lost_replica_is_told_to_the_user(caplog):
    route([unit("a", 1)], [Call("die")], [])
    assert "scripted replica 0 (node here, pid 0) failed; 1 are left to do its work: the actor died" in caplog.text


def test_a_replica_that_dies_with_its_work_done_spoils_nothing():
    units = [unit("a", 2), unit("b", 2)]
    arrived, times, replicas = route(units, [Call("die", sizes=(2,)), Call(sizes=(2,))], pause=7.0)
    assert sorted(arrived) == ids(*units) and times == [1.0, 1.0, 8.0, 8.0]
    assert replicas.dropped == [0]


def test_without_replicas_left_a_later_call_fails_too_rather_than_waits():

    async def main():
        router = RolloutRouter(ScriptedReplicas([Call("die")], capacity=1), 1, DEADLINE)
        for _ in range(2):
            with pytest.raises(WorkerFailure):
                await anext(router.generate([unit("a", 1)]))

    run_in_virtual_time(main())


def test_no_units_are_no_work():
    assert route([], [])[0] == []


@pytest.mark.parametrize("stop_after", [0, 1])
def test_cancellation_leaves_no_tasks(stop_after):

    async def main():
        replicas = ScriptedReplicas([Call("stall", sizes=(1,)), Call("stall")], [Call("stall")] * 2, capacity=4)
        router = RolloutRouter(replicas, 4, DEADLINE)
        arrived = []

        async def consume():
            async for completions in router.generate([unit(name, 2) for name in "abcdef"]):
                arrived.extend(completions)

        task = asyncio.create_task(consume())
        await asyncio.sleep(stop_after + 0.5)
        assert len(arrived) == stop_after
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not any(router.in_flight.values())

    run_in_virtual_time(main())


def test_a_consumer_that_leaves_early_leaves_no_tasks():

    async def main():
        router = RolloutRouter(ScriptedReplicas([], [Call("stall")], capacity=2), 2, DEADLINE)
        stream = router.generate([unit(name, 2) for name in "abc"])
        assert len(await anext(stream)) == 2
        await stream.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert router.in_flight == {0: 0, 1: 0}

    run_in_virtual_time(main())


delays = st.sampled_from([0.0, 0.5, 1.0, 1.0, 3.0, DEADLINE])
calls = st.builds(Call, st.sampled_from(["finish", "finish", "die", "oom", "raise", "stall", "short"]),
                  st.lists(st.integers(1, 2), max_size=2).map(tuple), delays, st.integers(0, 8))
scripts = st.lists(st.lists(calls, max_size=4), min_size=1, max_size=3)


@settings(max_examples=400)
@given(scripts, st.lists(st.integers(1, 3), max_size=7), st.integers(1, 6), st.sampled_from([0.0, 0.5, 1.0, 7.0]))
def test_each_request_is_delivered_once_or_the_run_fails_by_name(scripts, sizes, capacity, pause):
    units = [unit(str(i), size) for i, size in enumerate(sizes)]
    arrived, _, replicas = route(units, *scripts, capacity=capacity, pause=pause)
    if isinstance(arrived, WorkerFailure):
        assert not replicas.handles
        assert str(arrived).startswith(f"{replicas.describe(replicas.dropped[-1])} was the last rollout replica")
    else:
        assert Counter(arrived) == Counter(ids(*units))
    assert len(set(replicas.dropped)) == len(replicas.dropped)
