"""Runs a function on several gloo ranks in processes of their own."""
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def _main(rank: int, world_size: int, store: str, function: Callable[..., Any], args: tuple[Any, ...],
          out: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world_size)
    result = function(*args)
    if rank == 0:
        torch.save(result, out)
    dist.destroy_process_group()


def run_ranks(world_size: int, function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)` on every rank; -> what rank 0 returned."""
    with tempfile.TemporaryDirectory() as folder:
        store, out = Path(folder) / "store", Path(folder) / "result.pt"
        mp.spawn(_main, (world_size, str(store), function, args, str(out)), nprocs=world_size)
        return torch.load(out, weights_only=False)
