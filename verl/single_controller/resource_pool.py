"""Devices of the cluster as placement-group bundles: one bundle per worker, on GPUs or on CPU cores."""
import time
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, placement_group_table, remove_placement_group

START_TIMEOUT = 120.0  # s, for Ray to find the bundles


class ResourcePool:
    """`devices_per_node` bundles on each of `nnodes` nodes; `device` is "cuda" or "cpu"."""

    def __init__(self, devices_per_node: int, nnodes: int, device: str):
        self.devices_per_node, self.nnodes, self.device = devices_per_node, nnodes, device
        self.world_size = devices_per_node * nnodes
        self._groups: list[PlacementGroup] = []

    def bundle(self) -> dict[str, float]:
        """Resources of one worker."""
        return {"CPU": 1, "GPU": 1} if self.device == "cuda" else {"CPU": 1}

    def check(self, nodes: list[dict[str, Any]]) -> None:
        """ValueError unless `nodes` (as `ray.nodes()`) can hold this pool."""
        name = "GPU" if self.device == "cuda" else "CPU"
        have = sorted((int(node["Resources"].get(name, 0)) for node in nodes if node["Alive"]), reverse=True)
        enough = [n for n in have if n >= self.devices_per_node]
        if len(enough) >= self.nnodes:
            return
        oversubscribe = "; ray_kwargs.ray_init.num_cpus=N lets Ray place more workers than there are cores"
        fix = oversubscribe if name == "CPU" else ""
        raise ValueError(
            f"trainer.n_gpus_per_node={self.devices_per_node} and trainer.nnodes={self.nnodes} ask for more {name}s "
            f"than there are: the nodes of this cluster have {have} {name}s; lower the two keys{fix}")

    def placement_groups(self) -> list[PlacementGroup]:
        """One group per node, each on a node of its own; reserved on the first call."""
        if not self._groups:
            self.check(ray.nodes())
            deadline = time.monotonic() + START_TIMEOUT
            for _ in range(self.nnodes):
                self._reserve(deadline)
        return self._groups

    def _reserve(self, deadline: float) -> None:
        """Bundles on a node that has none of this pool yet: a large one could hold the share of two."""
        bundles = [self.bundle() for _ in range(self.devices_per_node)]
        taken = ",".join(node for group in self._groups for node in set(_nodes_of(group)))
        other = [{"ray.io/node-id": f"!in({taken})"}] * len(bundles) if taken else None
        group = placement_group(bundles, strategy="STRICT_PACK", bundle_label_selector=other)
        self._groups.append(group)
        if not group.wait(max(1.0, deadline - time.monotonic())):
            raise TimeoutError(
                f"Ray did not reserve {bundles} within {START_TIMEOUT:.0f} s: other jobs hold the devices "
                f"(free now: {ray.available_resources()})")

    def release(self) -> None:
        """Gives the bundles back; their workers end."""
        for group in self._groups:
            remove_placement_group(group)
        self._groups = []


def _nodes_of(group: PlacementGroup) -> list[str]:
    return list(placement_group_table(group)["bundles_to_node_id"].values())
