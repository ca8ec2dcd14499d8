"""The router's decisions, in virtual time, with replicas that follow a script."""
import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.replicas import Call, ScriptedReplicas, unit
from tests.support.virtual_time import run_in_virtual_time
from verl.config.rollout import RolloutConfig
from verl.single_controller import WorkerFailure
from verl.workers.rollout.router import RolloutRouter

DEADLINE, STALL = 100.0, 1000.0  # s of virtual time


def scripted(*scripts, capacity=4, stall=STALL, max_restarts=9, name="vllm", **options):
    config = RolloutConfig(name=name, request_timeout=DEADLINE, stall_timeout=stall, max_restarts=max_restarts)
    return ScriptedReplicas(*scripts, capacity=capacity, config=config, **options)


def make_router(replicas):
    return RolloutRouter(replicas, replicas.capacity, replicas.bring_up, replicas.config.name == "hf")


def route(units, *scripts, pause=0.0, **options):
    """Runs `units`; -> (ids of completions in order, when each came, the replicas)."""

    async def main():
        replicas = scripted(*scripts, **options)
        router = make_router(replicas)
        arrived, times = [], []
        try:
            async with asyncio.timeout(1e5):
                async for completions in router.generate(units):
                    arrived += [c.request_id for c in completions]
                    times += [asyncio.get_running_loop().time()] * len(completions)
                    await asyncio.sleep(pause)
            assert set(router.in_flight) == set(replicas.handles) and not replicas.lost
        except WorkerFailure as failure:
            arrived = failure
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not any(router.in_flight.values()) and not router.restoring
        return arrived, times, replicas

    return run_in_virtual_time(main())


def ids(*units):
    return sorted(request.request_id for requests in units for request in requests)


def test_a_unit_goes_to_the_replica_with_the_least_in_flight():
    units = [unit("a", 3), unit("b", 1), unit("c", 1), unit("d", 1), unit("e", 1)]
    arrived, _, replicas = route(units, [], [], capacity=10)
    assert replicas.received(0) == [[ids(units[0]), ids(units[4])]]
    assert replicas.received(1) == [[ids(units[1]), ids(units[2]), ids(units[3])]]
    assert sorted(arrived) == ids(*units)


def test_more_than_the_capacity_waits_until_something_finishes():
    units = [unit(name, 2) for name in "abcde"]
    arrived, times, replicas = route(units, [Call(sizes=(2,), delay=5.0)], [Call(sizes=(2,), delay=2.0)] * 4,
                                     capacity=2)
    assert sorted(arrived) == ids(*units)
    assert [len(replicas.received(i)[0]) for i in (0, 1)] == [2, 3]
    assert sorted(set(times)) == [2.0, 4.0, 5.0, 6.0]


def test_a_unit_larger_than_the_capacity_runs_alone():
    units = [unit("a", 1), unit("large", 9), unit("b", 1)]
    arrived, _, replicas = route(units, [], capacity=2)
    assert sorted(arrived) == ids(*units) and len(replicas.received(0)[0]) == 3


def test_completions_arrive_as_they_finish_not_as_they_were_sent():
    units = [unit("slow", 2), unit("quick", 2)]
    arrived, times, _ = route(units, [Call(sizes=(1, 1), delay=4.0)], [Call(sizes=(1, 1), delay=1.0)])
    assert arrived == ["quick/0", "quick/1", "slow/0", "slow/1"] and times == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("end", ["die", "oom", "raise", "short"])
def test_what_a_lost_replica_still_owes_is_sent_to_another(end):
    arrived, times, replicas = route([unit("a", 3), unit("b", 1)], [Call(end, sizes=(1,))], [])
    assert sorted(arrived) == ids(unit("a", 3), unit("b", 1)) and max(times) == 3.0  # long before the successor is up
    assert replicas.received(1) == [[["b/0"], ["a/1", "a/2"]]]  # a/0 had arrived and stays
    assert replicas.dropped == [0] and replicas.received(0)[1] == []


def test_a_fixed_batch_goes_whole_to_another_and_what_had_arrived_of_it_counts_once():
    """hf computes a batch as one: the rest of it alone would round otherwise."""
    arrived, _, replicas = route([unit("a", 3), unit("b", 1)], [Call("die", sizes=(1,))], [], name="hf")
    assert sorted(arrived) == ids(unit("a", 3), unit("b", 1))
    assert replicas.received(1) == [[["b/0"], ["a/0", "a/1", "a/2"]]]


def test_all_units_of_a_lost_replica_are_sent_on_and_it_is_lost_once():
    units = [unit(name, 1) for name in "abcd"]
    arrived, _, replicas = route(units, [Call("die"), Call("stall")], [Call(delay=9.0)])
    assert sorted(arrived) == ids(*units)
    assert replicas.dropped == [0] and len(replicas.received(0)[0]) == 2


@pytest.mark.parametrize("hops", range(8))
def test_a_replica_may_die_in_the_instant_in_which_it_gets_more(hops):
    units = [unit(name, 1) for name in ("done at 1", "x", "dies at 1", "y", "follows at 1")]
    arrived, _, replicas = route(units, [Call(), Call("die", hops=hops)],
                                 [Call(delay=9.0), Call(delay=9.0)],
                                 capacity=2)
    assert sorted(arrived) == ids(*units) and replicas.dropped == [0]


def test_a_unit_that_takes_too_long_costs_its_replica():
    arrived, times, replicas = route([unit("a", 2)], [Call("stall", sizes=(1,))], [])
    assert arrived == ["a/0", "a/1"] and times == [1.0, DEADLINE + 1.0]
    assert replicas.reasons == ["gave no answer within 100 s (rollout.request_timeout)"]


@pytest.mark.parametrize("end", ["stall", "freeze"])
def test_a_replica_without_progress_is_lost_before_the_deadline(end):
    arrived, times, replicas = route([unit("a", 2)], [Call(end, sizes=(1,))], [], stall=20.0)
    assert arrived == ["a/0", "a/1"] and times[0] == 1.0 and 20.0 < times[1] < 50.0
    assert replicas.reasons == ["made no progress for 20 s (rollout.stall_timeout)"]


def test_a_slow_replica_is_not_a_stalled_one():
    units = [unit("a", 5)]
    arrived, times, replicas = route(units, [Call(sizes=(1,) * 5, delay=18.0)], stall=20.0)
    assert arrived == ids(*units) and times[-1] == 90.0 and not replicas.dropped


def test_an_idle_replica_is_not_a_stalled_one():
    units = [unit("a", 5)]
    arrived, _, replicas = route(units, [Call(sizes=(1,) * 5, delay=18.0)], [], stall=20.0)
    assert arrived == ids(*units) and not replicas.dropped


def test_the_only_replicas_work_is_done_by_its_successor():
    arrived, times, replicas = route([unit("a", 3), unit("b", 2)], [Call("die", sizes=(1,), delay=2.0)], capacity=3)
    assert sorted(arrived) == ids(unit("a", 3), unit("b", 2))
    assert replicas.received(0) == [[["a/0", "a/1", "a/2"]], [["b/0", "b/1"], ["a/1", "a/2"]]]
    assert times[0] == 2.0 and times[1] == 4.0 + 50.0 + 1.0


def test_a_successor_may_be_lost_too():
    arrived, _, replicas = route([unit("a", 2)], [Call("die"), Call("stall"), Call("raise")], max_restarts=3)
    assert sorted(arrived) == ids(unit("a", 2)) and replicas.restarts[0] == 3


def test_a_replica_that_was_lost_before_is_restarted_first():
    arrived, times, replicas = route([unit("a", 1), unit("b", 1)], [], lost=(0,))
    assert sorted(arrived) == ["a/0", "b/0"] and times == [51.0] * 2 and not replicas.dropped


def test_generation_ends_when_no_replica_is_starting_any_more():
    """It would take memory beside the training."""

    async def main():
        router = make_router(scripted([Call("die")], []))
        assert [c.request_id async for batch in router.generate([unit("a", 1)]) for c in batch] == ["a/0"]
        assert asyncio.get_running_loop().time() == 1.0 + 50.0 and set(router.in_flight) == {0, 1}

    run_in_virtual_time(main())


@pytest.mark.parametrize("end, reason", [
    ("stall", r"gave no answer within 100 s \(rollout.request_timeout\)"),
    ("die", "failed in (generate|health):\n.*the actor died"),
    ("oom", "failed in generate:\n.*low on memory"),
    ("raise", "failed in generate:\n(.|\n)*boom"),
    ("short", "left 1 of 1 requests unanswered"),
])
def test_a_replica_that_was_restarted_too_often_ends_the_run(end, reason):
    failure, _, replicas = route([unit("a", 2)], [Call(end, sizes=(1,)), Call(end)], max_restarts=1)
    assert isinstance(failure, WorkerFailure) and replicas.dropped == [0, 0]
    with pytest.raises(WorkerFailure, match="^replica 0 is used up: " + reason):
        raise failure


def test_it_ends_though_others_are_well():
    failure, times, replicas = route([unit("a", 1), unit("b", 1)], [Call("die")], [Call(delay=99.0)], max_restarts=0)
    assert isinstance(failure, WorkerFailure) and replicas.dropped == [0] and not times


def test_a_replica_that_does_not_start_ends_the_run():

    async def main():
        replicas = scripted([Call("die")], [Call("stall")])

        async def fail(replica):
            raise WorkerFailure(f"replica {replica} does not start")

        with pytest.raises(WorkerFailure, match="^replica 0 does not start"):
            await anext(RolloutRouter(replicas, 4, fail, False).generate([unit("a", 1), unit("b", 1)]))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_in_virtual_time(main())


def test_a_successor_that_is_lost_while_it_takes_its_weights_has_one_too():

    async def main():
        replicas = scripted([Call("die")])

        async def bring_up(replica):
            if replicas.restarts[replica] == 1:
                replicas.drop(replica, "failed in update_weights")

        router = RolloutRouter(replicas, 4, bring_up, False)
        assert [c.request_id async for batch in router.generate([unit("a", 1)]) for c in batch] == ["a/0"]
        assert replicas.restarts[0] == 2

    run_in_virtual_time(main())


def test_a_users_error_is_raised_as_it_is_and_costs_no_replica():

    async def main():
        replicas = scripted([Call("refuse")], [])
        router = make_router(replicas)
        with pytest.raises(ValueError, match="^the prompt is too long$"):
            await anext(router.generate([unit("a", 1)]))
        assert router.in_flight == {0: 0, 1: 0} and not replicas.dropped

    run_in_virtual_time(main())


def test_a_replica_that_dies_with_its_work_done_spoils_nothing():
    units = [unit("a", 2), unit("b", 2)]
    arrived, times, replicas = route(units, [Call("die", sizes=(2,)), Call(sizes=(2,))], pause=7.0)
    assert sorted(arrived) == ids(*units) and times == [1.0, 1.0, 8.0, 8.0]
    assert replicas.dropped == [0]


def test_no_units_are_no_work():
    assert route([], [])[0] == []


@pytest.mark.parametrize("stop_after", [0, 1])
def test_cancellation_leaves_no_tasks(stop_after):

    async def main():
        replicas = scripted([Call("stall", sizes=(1,)), Call("stall")], [Call("stall")] * 2)
        router = make_router(replicas)
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
        router = make_router(scripted([], [Call("stall")], capacity=2))
        stream = router.generate([unit(name, 2) for name in "abc"])
        assert len(await anext(stream)) == 2
        await stream.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert router.in_flight == {0: 0, 1: 0}

    run_in_virtual_time(main())


def test_cancellation_ends_a_replica_that_is_starting():

    async def main():
        replicas = scripted([Call("die")])
        task = asyncio.create_task(anext(make_router(replicas).generate([unit("a", 1)])))
        await asyncio.sleep(10.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert replicas.lost == [0] and asyncio.all_tasks() == {asyncio.current_task()}

    run_in_virtual_time(main())


delays = st.sampled_from([0.0, 0.5, 1.0, 1.0, 3.0, DEADLINE])
calls = st.builds(Call, st.sampled_from(["finish", "finish", "die", "oom", "raise", "stall", "freeze", "short"]),
                  st.lists(st.integers(1, 2), max_size=2).map(tuple), delays, st.integers(0, 8))
scripts = st.lists(st.lists(calls, max_size=4), min_size=1, max_size=3)


@settings(max_examples=400)
@given(scripts, st.lists(st.integers(1, 3), max_size=7), st.integers(1, 6), st.sampled_from([0.0, 0.5, 1.0, 7.0]),
       st.integers(0, 3), st.sampled_from([0.0, 0.5, 60.0]), st.sampled_from([15.0, STALL]))
def test_each_request_is_delivered_once_or_the_run_fails_by_name(scripts, sizes, capacity, pause, max_restarts,
                                                                 start_time, stall):
    units = [unit(str(i), size) for i, size in enumerate(sizes)]
    arrived, _, replicas = route(units, *scripts, capacity=capacity, pause=pause, max_restarts=max_restarts,
                                 start_time=start_time, stall=stall)  # yapf: disable
    losses = Counter(replicas.dropped)
    if isinstance(arrived, WorkerFailure):
        assert max(losses.values()) >= max_restarts + 1 and "is used up" in str(arrived)
    else:
        assert Counter(arrived) == Counter(ids(*units)) and losses == replicas.restarts
        assert all(count <= max_restarts for count in losses.values())
