"""Workers that do right and wrong on demand."""
import datetime
import time

import numpy as np
import torch
import torch.distributed as dist

from verl.protocol import DataProto
from verl.single_controller import Dispatch, Worker, register
from verl.utils.errors import OutOfMemory

COLLECTIVE_TIMEOUT = 300  # s, longer than any test waits


class PickyError(Exception):
    """Cannot be rebuilt from its own arguments, so no other process can unpickle it."""

    def __init__(self, code: int, detail: str):
        super().__init__(f"{detail} ({code})")


class DemoWorker(Worker):
    """A rank of a gloo group whose methods answer, sleep, raise or wait in a collective."""

    @register(Dispatch.ONE_TO_ALL)
    def join(self, address):
        dist.init_process_group("gloo",
                                init_method=f"tcp://{address[0]}:{address[1]}",
                                rank=self.rank,
                                world_size=self.world_size,
                                timeout=datetime.timedelta(seconds=COLLECTIVE_TIMEOUT))

    @register(Dispatch.DP_COMPUTE_PROTO)
    def mark(self, batch: DataProto, factor: int, other: DataProto | None = None) -> DataProto:
        """`batch` with the rank and the factor that this worker saw; of `other` its first column's values."""
        seen = {"rank": np.full(len(batch), self.rank), "factor": np.full(len(batch), factor)}
        if other is not None:
            seen["other"] = other.batch["x"]
        return DataProto.from_dict(batch.batch | seen, batch.non_tensor_batch)

    @register(Dispatch.DP_COMPUTE_PROTO)
    def count(self, batch: DataProto) -> int:
        return len(batch)

    @register(Dispatch.ONE_TO_ALL)
    def answer_late(self, seconds_by_rank, word):
        time.sleep(seconds_by_rank[self.rank])
        return self.rank, word

    @register(Dispatch.RANK_ZERO)
    def rank_alone(self):
        return self.rank

    @register(Dispatch.ONE_TO_ALL)
    def raise_on(self, rank, kind):
        """`rank` raises, the others answer at once."""
        if self.rank == rank:
            raise {
                "user": ValueError("data.files=x: no such file"),
                "picky": PickyError(7, "the disk is full"),
                "explained": OutOfMemory("out of memory in update_actor"),
            }[kind]
        return "fine"

    @register(Dispatch.ONE_TO_ALL)
    def raise_while_others_reduce(self, rank):
        """`rank` raises when its peers wait for it in an all-reduce."""
        if self.rank == rank:
            time.sleep(0.5)
            self.divide_by_nothing()
        dist.all_reduce(torch.ones(1))

    @register(Dispatch.ONE_TO_ALL)
    def leave_and_raise(self, rank):
        """`rank` leaves the group, so that its peers fail at once, and raises a second later what was the cause."""
        if self.rank == rank:
            dist.destroy_process_group()
            time.sleep(1.0)
            self.divide_by_nothing()
        dist.all_reduce(torch.ones(1))

    def divide_by_nothing(self):
        return 1 / 0

    @register(Dispatch.ONE_TO_ALL)
    def reduce_forever(self):
        while True:
            dist.all_reduce(torch.ones(1 << 20))

    def not_registered(self):
        return None
