"""Tensors whose bytes are on the device while they are used and in host memory in between.

What comes and goes are the storages: on the device one shrinks to 0 bytes and grows again, as FSDP2's own gathered
weights do. Every tensor over it stays the same object, so shards with their padding, DTensors and optimizer state need
not be registered anew; nobody may read them while they are away.
"""
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, UntypedStorage
from torch.distributed.tensor import DTensor


def has_host_memory(device: torch.device) -> bool:
    """Whether the host's memory is another one than the device's."""
    return device.type != "cpu"


class HostCopies:
    """Of all `tensors()` on `device`; without `enabled` they simply stay there. Tensors may come and be replaced while
    they are on the device. A copy is made once (pinned, where that means something) and kept for the next time.
    """

    def __init__(self, tensors: Callable[[], Iterable[Tensor]], device: torch.device, enabled: bool):
        self.tensors, self.device, self.enabled = tensors, device, enabled
        self.away, self.changed = False, True
        self.storages: dict[int, tuple[UntypedStorage, UntypedStorage]] = {}  # by address: the device's, its copy

    def offload(self) -> None:
        """Frees the device's memory, after copying what has changed since the last time."""
        if not self.enabled or self.away:
            return
        homes = [_local(tensor.detach()).untyped_storage() for tensor in self.tensors()]
        homes = {home._cdata: home for home in homes if home.device.type == self.device.type}
        earlier, self.storages = self.storages, {}
        for address, home in homes.items():
            copy = earlier[address][1] if address in earlier else self._allocate(home.nbytes())
            if self.changed or address not in earlier:
                copy.copy_(home, non_blocking=True)
            self.storages[address] = (home, copy)
        if self.device.type == "cuda":
            torch.cuda.synchronize()  # other streams may still read, and the copies must be whole
        for home in homes.values():
            home.resize_(0)
        self.away, self.changed = True, False

    def onload(self) -> None:
        """Takes the memory back, with what was in it."""
        if self.away:
            for home, copy in self.storages.values():
                home.resize_(copy.nbytes())
                home.copy_(copy, non_blocking=True)
            self.away = False

    def where_it_is(self, tensor: Tensor) -> Tensor:
        """`tensor`, detached: over the host's copy while it is away. Writing to that changes what comes back."""
        tensor = tensor.detach()
        local = _local(tensor)
        if not self.away or local.untyped_storage()._cdata not in self.storages:
            return tensor
        copy = self.storages[local.untyped_storage()._cdata][1]
        twin = torch.empty(0, dtype=local.dtype).set_(copy, local.storage_offset(), local.shape, local.stride())
        return _like(tensor, twin)

    def fetch(self, tensor: Tensor) -> Tensor:
        """`tensor` on the device, detached: a copy for one use while it is away."""
        there = self.where_it_is(tensor)
        return _like(there, _local(there).to(self.device, non_blocking=True))

    def _allocate(self, size: int) -> UntypedStorage:
        return torch.empty(size, dtype=torch.uint8, pin_memory=self.device.type == "cuda").untyped_storage()


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _like(tensor: Tensor, local: Tensor) -> Tensor:
    """`local` as this rank's part of a DTensor laid out as `tensor`, if that is one. `DTensor.from_local` would move
    it to the mesh's device.
    """
    return DTensor(local, tensor._spec, requires_grad=False) if isinstance(tensor, DTensor) else local
