"""Base class of the actors in a WorkerGroup."""
import faulthandler
import os
import socket

import ray

from verl.single_controller.dispatch import Dispatch, register


class Worker:
    """Knows its rank; the group sets RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE before the process starts."""

    def __init__(self) -> None:
        faulthandler.enable()  # a segmentation fault leaves its stack in the worker's log
        self.rank = int(os.environ["RANK"])
        self.world_size = int(os.environ["WORLD_SIZE"])
        self.local_rank = int(os.environ["LOCAL_RANK"])

    @register(Dispatch.RANK_ZERO)
    def free_address(self) -> tuple[str, int]:
        """(ip, port) on this worker's node where a process group can meet."""
        with socket.socket() as probe:
            probe.bind(("", 0))
            return ray.util.get_node_ip_address(), probe.getsockname()[1]

    @register(Dispatch.ONE_TO_ALL)
    def identify(self) -> dict[str, str | int]:
        """Where this worker runs: node, ip, pid and visible devices. Answers at once when the worker is idle."""
        return {
            "node_id": ray.get_runtime_context().get_node_id(),
            "ip": ray.util.get_node_ip_address(),
            "pid": os.getpid(),
            "cuda": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        }
