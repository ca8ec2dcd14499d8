import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group_table

from verl.single_controller import ResourcePool


def node(alive=True, **resources):
    return {"Alive": alive, "Resources": resources}


@pytest.mark.parametrize("device, name", [("cpu", "CPU"), ("cuda", "GPU")])
@pytest.mark.parametrize("per_node, nnodes, have", [
    (3, 1, [2]),
    (2, 2, [2]),
    (2, 2, [2, 1]),
    (2, 2, [4]),
    (1, 1, []),
])
def test_too_many_devices_are_refused_naming_both_keys(device, name, per_node, nnodes, have):
    nodes = [node(**{name: n}) for n in have]
    with pytest.raises(ValueError) as error:
        ResourcePool(per_node, nnodes, device).check(nodes)
    text = str(error.value)
    assert f"trainer.n_gpus_per_node={per_node}" in text and f"trainer.nnodes={nnodes}" in text
    assert f"{sorted(have, reverse=True)} {name}s" in text and "lower the two keys" in text
    assert ("ray_init.num_cpus" in text) is (device == "cpu")


def test_what_fits_passes_and_dead_nodes_do_not_count():
    ResourcePool(2, 2, "cuda").check([node(GPU=2), node(GPU=4.0), node()])
    with pytest.raises(ValueError, match=r"\[2, 0\] GPUs"):
        ResourcePool(2, 2, "cuda").check([node(GPU=2), node(alive=False, GPU=4), node(CPU=8)])


def test_a_worker_gets_a_device_of_its_own():
    assert ResourcePool(2, 3, "cuda").bundle() == {"CPU": 1, "GPU": 1}
    assert ResourcePool(2, 3, "cpu").bundle() == {"CPU": 1}
    assert ResourcePool(2, 3, "cpu").world_size == 6


def test_each_share_is_on_a_node_of_its_own():
    """Though the first node has room for both."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=2)
        ray.init(cluster.address, log_to_driver=False, configure_logging=False)
        groups = ResourcePool(2, 2, "cpu").placement_groups()
        nodes = [set(placement_group_table(group)["bundles_to_node_id"].values()) for group in groups]
        assert [len(ids) for ids in nodes] == [1, 1] and nodes[0] != nodes[1]
    finally:
        ray.shutdown()
        cluster.shutdown()
