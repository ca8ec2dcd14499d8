import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import pytest

from verl.config import ConfigError, PPOConfig, SFTConfig, from_dict, to_dict
from verl.config.fields import coerce, schema, select


@pytest.mark.parametrize("kind, value, expected", [
    (int, 3, 3),
    (int, 1e3, 1000),
    (int, "7", 7),
    (float, 1, 1.0),
    (float, "1e-6", 1e-6),
    (bool, "False", False),
    (str, 12, "12"),
    (int | None, None, None),
    (str | None, "", None),
    (list[str], "a.parquet", ["a.parquet"]),
    (list[str], None, []),
    (tuple[float, float], [0.9, 1], (0.9, 1.0)),
    (dict[str, Any], {
        "a": 1
    }, {
        "a": 1
    }),
])
def test_values_become_the_declared_type(kind, value, expected):
    converted = coerce(kind, value)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize("kind, value", [
    (int, 1.5),
    (int, True),
    (int, "many"),
    (int, None),
    (float, "fast"),
    (float, False),
    (bool, 1),
    (bool, "yes"),
    (str, True),
    (str, None),
    (list[str], [None]),
    (tuple[float, float], [0.9]),
    (dict[str, Any], [1]),
])
def test_values_of_another_type_are_refused(kind, value):
    with pytest.raises(ValueError):
        coerce(kind, value)


@pytest.mark.parametrize("root", [PPOConfig, SFTConfig])
def test_every_field_has_a_meaning_and_a_default_of_its_type(root):
    for row in schema(root).values():
        assert row.meaning and "\n" not in row.meaning
        assert coerce(row.kind, row.default) == row.default, row.name
        if row.choices and row.default is not None:
            defaults = row.default if isinstance(row.default, list) else [row.default]
            assert set(defaults) <= set(row.choices), row.name


@pytest.mark.parametrize("root", [PPOConfig, SFTConfig])
def test_configs_are_frozen_and_share_no_containers(root):
    first, second = root(), root()
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.trainer.nnodes = 2
    first.trainer.logger.append("wandb")
    assert second.trainer.logger == ["console"]


def test_defaults_may_differ_by_root():
    assert SFTConfig().optim.lr == 1e-5
    assert PPOConfig().actor_rollout_ref.actor.optim.lr == 1e-6
    assert schema(SFTConfig)["optim.lr"].default == 1e-5


def test_from_dict_reads_what_to_dict_wrote():
    config = from_dict(PPOConfig, {"data": {"train_files": "a"}, "actor_rollout_ref": {"rollout": {"n": 8}}})
    assert config.data.train_files == ["a"]
    assert select(config, "actor_rollout_ref.rollout.n") == 8
    assert from_dict(PPOConfig, to_dict(config)) == config


def test_from_dict_names_every_problem():
    with pytest.raises(ConfigError) as error:
        from_dict(PPOConfig, {"data": {"nope": 1, "seed": "x"}, "trainer": 3})
    assert error.value.problems == [
        "unknown key data.nope", "data.seed=x: expects an integer or null, got str",
        "trainer=3: it is a group of keys; set trainer.device …"
    ]
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


def test_what_the_program_fills_in_is_no_key():
    assert "actor_rollout_ref.actor.global_batch_info" not in schema(PPOConfig)
    assert "global_batch_info" not in to_dict(PPOConfig())["actor_rollout_ref"]["actor"]


def test_importing_the_config_imports_no_torch():
    code = ("import sys, verl.config; verl.config.load_ppo_config; "
            "heavy = {'torch', 'transformers', 'ray', 'vllm', 'pandas'} & set(sys.modules); assert not heavy, heavy")
    subprocess.run([sys.executable, "-c", code], check=True)
