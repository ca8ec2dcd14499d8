import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The models are tiny: on shared cores several threads wait for each other longer than they compute."""
    torch.set_num_threads(1)
