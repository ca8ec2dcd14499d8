"""README.md names files, extras and keys that there are."""
import re
import tomllib

import pytest

from tests.support.spelling import ROOT
from verl.config.ppo import PPOConfig
from verl.config.states import state_of

TEXT = (ROOT / "README.md").read_text()
MADE = ("outputs/", "data/train/", "rollouts/", "validation/", "slurm/")  # by a run


def test_paths_lead_somewhere():
    paths = set(re.findall(r"(?<![\w/.=-])((?:[\w.-]+/)+[\w.-]*[\w/]|\w+\.(?:py|md|toml))(?![\w*…<])", TEXT))
    ours = {path for path in paths if (ROOT / path.split("/")[0]).exists() and not path.startswith(MADE)}
    assert {"scripts/install.sh", "data_viewer.py", "verl/config/", "bench/viewer.json"} <= ours
    assert [path for path in sorted(ours) if not (ROOT / path).exists()] == []


def test_extras_are_those_of_the_project():
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["reasoning360"]["dependencies"]
    table = TEXT.split("| extra | what for |")[1].split("\n\n")[0]
    named = [name for line in table.splitlines()[2:] for name in re.findall(r"`([\w-]+)`", line.split("|")[1])]
    assert sorted(named) == sorted(pins.keys() - {"core"})


@pytest.mark.parametrize(
    "key",
    sorted(
        set(
            re.findall(
                r"\b((?:actor_rollout_ref|data|trainer|algorithm|reward_model|custom_reward_function)\.[a-z_.0-9]+)=",
                TEXT))))
def test_keys_of_its_commands_are_known(key):
    assert state_of(PPOConfig, key) is not None
