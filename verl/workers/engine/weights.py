"""Weights of a sharded model as whole tensors, bucket by bucket, in the dtype that the receiver wants."""
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.tensor import DTensor

BUCKET_BYTES = 1 << 30


class WeightSource:
    """Gathers the parameters of one model. Every rank must iterate: each gather is a collective. `fetch` brings one of
    them to the device, if it is not there.
    """

    def __init__(self,
                 parameters: dict[str, Tensor],
                 dtype: torch.dtype,
                 fetch: Callable[[Tensor], Tensor] = Tensor.detach):
        self.parameters = parameters
        self.dtype = dtype
        self.fetch = fetch

    def buckets(self) -> list[list[str]]:
        """Names of at most BUCKET_BYTES each (a larger tensor alone), in model order."""
        buckets: list[list[str]] = []
        room = 0
        for name, tensor in self.parameters.items():
            size = tensor.numel() * self.dtype.itemsize
            if size > room or not buckets:
                buckets.append([])
                room = BUCKET_BYTES
            buckets[-1].append(name)
            room -= size
        return buckets

    def gather(self, names: list[str]) -> Iterator[tuple[str, Tensor]]:
        """Whole tensors of `names`. The cast comes before the gather: half the bytes for half-precision receivers."""
        for name in names:
            tensor = self.fetch(self.parameters[name]).to(self.dtype)
            yield name, tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def write_safetensors(self, directory: Path, writer: bool) -> None:
        """Hugging Face layout under `directory`; only a rank with `writer` touches the disk, all take part in the
        gathers.
        """
        buckets = self.buckets()
        index: dict[str, str] = {}
        for i, names in enumerate(buckets):
            single = len(buckets) == 1
            file = "model.safetensors" if single else f"model-{i + 1:05d}-of-{len(buckets):05d}.safetensors"
            tensors = {name: tensor.cpu().contiguous() for name, tensor in self.gather(names) if writer}
            index |= dict.fromkeys(names, file)
            if writer:
                save_file(tensors, directory / file, metadata={"format": "pt"})
        if writer and len(buckets) > 1:
            (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
