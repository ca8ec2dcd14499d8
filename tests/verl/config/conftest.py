import pytest


@pytest.fixture
def files(tmp_path):
    """A model folder, a data file and a reward file that exist."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "rows.parquet").touch()
    (tmp_path / "reward.py").touch()
    return tmp_path


@pytest.fixture
def ppo_argv(files):
    """The fewest arguments that main_ppo accepts."""
    return [
        f"data.train_files={files}/rows.parquet", f"actor_rollout_ref.model.path={files}/model",
        "actor_rollout_ref.actor.use_dynamic_bsz=True", "actor_rollout_ref.rollout.n=4"
    ]


@pytest.fixture
def sft_argv(files):
    return [f"data.train_files={files}/rows.parquet", f"model.path={files}/model"]
