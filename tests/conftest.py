"""Settings and fixtures for all tests."""
import pytest
from hypothesis import settings

# The cores may be shared: a slow example is no failure, and the same examples are drawn on every run.
settings.register_profile("shared_cores", deadline=None, derandomize=True)
settings.load_profile("shared_cores")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked:
        import torch
        for item in marked if not torch.cuda.is_available() else ():
            item.add_marker(pytest.mark.skip(reason="torch sees no CUDA device"))


@pytest.fixture(scope="module")
def ray_cluster():
    """Ray on this machine with four logical CPUs, however many cores there are."""
    import ray
    ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()
