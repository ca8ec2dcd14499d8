import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verl.protocol import DataProto
from verl.single_controller.dispatch import Dispatch, collect_results, register, registered_methods, split_arguments


class Base:

    @register(Dispatch.RANK_ZERO)
    def first(self):
        return None

    @register()
    def everyone(self):
        return None

    def private(self):
        return None


class Derived(Base):

    @register(Dispatch.DP_COMPUTE_PROTO)
    def spread(self):
        return None


def test_only_marked_methods_are_callable_on_a_group_inherited_ones_too():
    assert registered_methods(Derived) == {
        "first": Dispatch.RANK_ZERO,
        "everyone": Dispatch.ONE_TO_ALL,
        "spread": Dispatch.DP_COMPUTE_PROTO
    }


def test_rank_zero_gets_one_call_and_broadcast_the_same_for_all():
    assert split_arguments(Dispatch.RANK_ZERO, 4, (1,), {"a": 2}) == [((1,), {"a": 2})]
    assert split_arguments(Dispatch.ONE_TO_ALL, 3, (1,), {"a": 2}) == [((1,), {"a": 2})] * 3
    assert collect_results(Dispatch.RANK_ZERO, ["x"]) == "x"
    assert collect_results(Dispatch.ONE_TO_ALL, ["x", "y"]) == ["x", "y"]


@given(rows=st.integers(1, 40), world_size=st.integers(1, 8))
def test_rows_that_do_not_divide_are_refused_with_the_fix(rows, world_size):
    batch = DataProto.from_dict({"x": np.arange(rows)})
    if rows % world_size == 0:
        return
    with pytest.raises(ValueError, match=rf"{rows} rows do not divide over {world_size} workers; pad the batch or"):
        split_arguments(Dispatch.DP_COMPUTE_PROTO, world_size, (batch,), {})


def test_results_that_are_no_batches_come_back_as_a_list():
    assert collect_results(Dispatch.DP_COMPUTE_PROTO, [1, 2]) == [1, 2]
    assert collect_results(Dispatch.DP_COMPUTE_PROTO, [None, None]) == [None, None]
