"""What the engine does on two ranks: one process pair for all tests, each of which looks at one part of the result."""
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from tests.support.batches import make_batch
from tests.support.train_engines import BOUNDS, PPO, gradients, make_engine, moments, train_step, whole
from verl.config.engine import CHECKPOINT_PARTS
from verl.protocol import DataProto
from verl.workers.engine import weights
from verl.workers.engine.base import BatchTotals, LossInputs, MicroBatchBounds
from verl.workers.engine.fsdp import FSDPEngine
from verl.workers.engine.optim import clip_gradients

ROWS = 6
MAX_NORM = 0.5
BUCKET_BYTES = 8 << 10
UNEVEN = {
    "1 and 5 rows": (1, MicroBatchBounds(25, None)),
    "5 and 1 rows": (5, MicroBatchBounds(None, 1)),
    "0 and 6 rows": (0, MicroBatchBounds(25, None)),
}


def everything(folders: dict[str, Path], work: Path) -> dict[str, Any]:
    """On both ranks; rank 0's is looked at."""
    return {
        "local_bytes": {
            family: local_bytes(folders[family]) for family in ("llama", "qwen2_tied")
        },
        "clipping": {
            fsdp_size: clipping(folders["qwen2"], fsdp_size) for fsdp_size in (-1, 1)
        },
        "uneven": {
            name: one_pass(folders["qwen3"], *split) for name, split in UNEVEN.items()
        },
        "nan": nan_on_the_last_rank(folders["qwen2"]),
        "resumed": resumed(folders["qwen3"], work),
        "exported": export(folders["qwen2_tied"], work),
        "offloaded": {
            offload: offloaded_steps(folders["qwen2_tied"], work / f"steps_{offload}", offload)
            for offload in (False, True)
        },
    }


def my_rows(batch: DataProto, first: int) -> DataProto:
    """The first `first` rows on rank 0, the rest on the last rank; all of them where there is one rank."""
    if dist.get_world_size() == 1:
        return batch
    return batch[:first] if dist.get_rank() == 0 else batch[first:]


def _of_each_rank(value: Any) -> list[Any]:
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def local_bytes(folder: Path) -> list[int]:
    """Bytes of parameters that each rank holds after loading."""
    return _of_each_rank(sum(p.to_local().nbytes for p in make_engine(folder).parameters.values()))


def total_log_prob(inputs: LossInputs, totals: BatchTotals) -> tuple[Tensor, dict[str, Tensor]]:
    return inputs.log_prob.sum(), {}


def clipping(folder: Path, fsdp_size: int) -> dict[str, Any]:
    """Whole gradients before and after clipping to MAX_NORM, and the norm reported."""
    engine = make_engine(folder, fsdp_size=fsdp_size)
    engine.forward_backward(my_rows(make_batch(ROWS), 2), total_log_prob, BOUNDS, 1.0, False)
    before = gradients(engine)
    norms = _of_each_rank(clip_gradients(engine.module, MAX_NORM))
    return {"before": before, "norms": norms, "after": gradients(engine)}


def one_pass(folder: Path, first: int, bounds: MicroBatchBounds) -> dict[str, Any]:
    """Log-probs, gradients and metrics of one batch, of which rank 0 has `first` rows."""
    engine, rows = make_engine(folder, "fp64"), my_rows(make_batch(ROWS), first)
    log_probs = engine.forward(rows, bounds, 1.0).batch["log_probs"].values
    metrics = engine.forward_backward(rows, PPO, bounds, 1.0, True)
    return {
        "log_probs": np.concatenate(_of_each_rank(log_probs)),
        "metrics": _of_each_rank(metrics),
        "gradients": gradients(engine),
    }


def nan_on_the_last_rank(folder: Path) -> dict[str, Any]:
    """A step whose gradient is NaN from one rank's rows, then a sound one."""
    engine, rows = make_engine(folder), my_rows(make_batch(ROWS), 3)
    broken = my_rows(make_batch(ROWS), 3)
    if dist.get_rank() == dist.get_world_size() - 1:
        broken.batch["advantages"] = np.full(len(broken), np.nan, np.float32)
    before = whole(engine.parameters)
    skipped = _of_each_rank(train_step(engine, broken))
    between = whole(engine.parameters)
    stepped = _of_each_rank(train_step(engine, rows))
    return {"skipped": skipped, "stepped": stepped, "before": before, "between": between,
            "after": whole(engine.parameters)}  # yapf: disable


def state_and_next_step(engine: FSDPEngine, seed: int) -> dict[str, Any]:
    """Parameters, moments, and what the next step on batch `seed` adds to the parameters."""
    before, state = whole(engine.parameters), moments(engine)
    metrics = train_step(engine, my_rows(make_batch(ROWS, seed=seed), 2))
    update = {name: p - before[name] for name, p in whole(engine.parameters).items()}
    return {"parameters": before, "moments": state, "update": update, "metrics": metrics}


def leave_checkpoint(folder: Path, directory: Path) -> None:
    """Three steps on this group; the checkpoint goes to `directory`, and beside it what it holds and leads to."""
    engine = make_engine(folder, "fp64")
    for seed in range(3):
        train_step(engine, my_rows(make_batch(ROWS, seed=seed), 2))
    engine.save(directory)
    torch.save(state_and_next_step(engine, 3), directory.with_suffix(".pt"))


def load_checkpoint(folder: Path,
                    directory: Path,
                    seed: int,
                    contents: Sequence[str] = CHECKPOINT_PARTS,
                    fsdp_size: int = -1) -> dict[str, Any]:
    engine = make_engine(folder, "fp64", fsdp_size=fsdp_size)
    engine.load(directory, contents)
    return state_and_next_step(engine, seed)


def resumed(folder: Path, work: Path) -> dict[str, Any]:
    """One rank's checkpoint on two, one step more, and that one's checkpoint on two."""
    engine = make_engine(folder, "fp64")
    engine.load(work / "by_one")
    from_one = state_and_next_step(engine, 3)
    engine.save(work / "by_two")
    expected = state_and_next_step(engine, 4)
    return {
        "from_one": from_one,
        "expected": expected,
        "from_two": load_checkpoint(folder, work / "by_two", 4),
        "weights_from_one": load_checkpoint(folder, work / "by_one", 3, ["model"]),
        "weights_from_two": load_checkpoint(folder, work / "by_two", 4, ["model"]),
        "in_background": {
            fsdp_size: saved_in_background(folder, work, fsdp_size) for fsdp_size in (-1, 1)
        },
    }


def saved_in_background(folder: Path, work: Path, fsdp_size: int) -> dict[str, Any]:
    """A checkpoint that a thread writes while the engine takes a step, loaded: as sharded over all ranks, or (1) whole
    on each of them.
    """
    engine, directory = make_engine(folder, "fp64", fsdp_size=fsdp_size), work / f"in_background_{fsdp_size}"
    engine.load(work / "by_two")
    snapshot = engine.snapshot([*CHECKPOINT_PARTS, "hf_model"], on_host=True)
    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(snapshot.write, directory)
        state_and_next_step(engine, 4)
        writing.result(60)
    return load_checkpoint(folder, directory / "actor", 4, fsdp_size=fsdp_size)


def device_bytes(engine: FSDPEngine) -> dict[str, int]:
    """Of this rank's weights and moments, as far as they are not in their host copies."""
    size = lambda tensors: sum({
        t.untyped_storage()._cdata: t.untyped_storage().nbytes()
        for t in (x.detach().to_local() if isinstance(x, DTensor) else x for x in tensors)
    }.values())
    return {"weights": size(engine.parameters.values()), "moments": size(engine._moments())}


def offloaded_steps(folder: Path, directory: Path, offload: bool) -> dict[str, Any]:
    """Three steps of forward and update; with `offload` all is in host memory after each of them, also when it is saved
    and written. CPU tensors stand for those of a device.
    """
    with patch("verl.workers.engine.fsdp.has_host_memory", lambda device: True):
        engine = make_engine(folder, offload=offload, enable_gradient_checkpointing=True)
    between, metrics = [], []
    for seed in range(3):
        rows = my_rows(make_batch(ROWS, seed=seed), 2)
        log_probs = engine.forward(rows, BOUNDS, 1.0).batch["log_probs"].values
        engine.offload()
        metrics.append(train_step(engine, rows) | {"log_probs": log_probs.tolist()})
        engine.offload()
        between.append(device_bytes(engine))
    directory.mkdir(exist_ok=True)
    engine.weights("bf16").write_safetensors(directory, dist.get_rank() == 0)
    engine.save(directory / "checkpoint")
    between.append(device_bytes(engine))
    engine.onload()
    return {
        "metrics": _of_each_rank(metrics),
        "between": _of_each_rank(between),
        "parameters": whole(engine.parameters)
    }


def export(folder: Path, work: Path) -> None:
    """The loaded weights as `hf`, in `many` files, and as `bf16`."""
    engine, writer = make_engine(folder), dist.get_rank() == 0
    directories = {name: work / name for name in ("hf", "many", "bf16")}
    if writer:
        for directory in directories.values():
            directory.mkdir()
            engine.hf_config.save_pretrained(directory)
    engine.export_hf(directories["hf"])
    engine.weights("bf16").write_safetensors(directories["bf16"], writer)
    whole_bucket, weights.BUCKET_BYTES = weights.BUCKET_BYTES, BUCKET_BYTES
    engine.weights("fp32").write_safetensors(directories["many"], writer)
    weights.BUCKET_BYTES = whole_bucket
