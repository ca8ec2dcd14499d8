from pathlib import Path

import pytest

from tests.support import two_ranks
from tests.support.models import FAMILIES, save_model
from tests.support.ranks import run_ranks
from tests.support.train_engines import single_rank


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A model of each family, saved."""
    root = tmp_path_factory.mktemp("models")
    return {family: save_model(family, root / family) for family in FAMILIES}


@pytest.fixture
def one_rank():
    """A process group of this process alone."""
    with single_rank():
        yield


@pytest.fixture(scope="session")
def work(tmp_path_factory, folders) -> Path:
    """Where the ranks leave files, and the checkpoint that one rank leaves for them."""
    root = tmp_path_factory.mktemp("ranks")
    with single_rank():
        two_ranks.leave_checkpoint(folders["qwen3"], root / "by_one")
    return root


@pytest.fixture(scope="session")
def on_two_ranks(work, folders):
    """What each part of `two_ranks` returned."""
    return run_ranks(2, two_ranks.everything, folders, work)
