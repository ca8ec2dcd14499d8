import string
import types
import typing

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from verl.config import PPOConfig, SFTConfig, dump, from_dict, load_ppo_config, load_sft_config, show_args, to_dict
from verl.config.aliases import KEYS
from verl.config.fields import schema
from verl.config.load import _load
from verl.config.states import RULES


@pytest.mark.parametrize("root", [PPOConfig, SFTConfig])
def test_show_args_lists_every_key_and_state(root):
    text = show_args(root)
    first, rest = text.split("\n\n", 1)
    lines = {line.split()[0]: line for line in first.splitlines()[1:]}
    assert list(lines) == list(schema(root))
    for name, row in schema(root).items():
        assert row.meaning in lines[name]
        assert all(choice in lines[name] for choice in row.choices or ())
    columns = {
        line.index(schema(root)[name].meaning)
        for name, line in lines.items()
        if len(str(schema(root)[name].default)) < 24
    }
    assert len(columns) == 1  # aligned
    assert all(old in rest for old in KEYS[root])
    assert all(rule.key in rest and rule.why in rest for rule in RULES[root])


LETTERS = st.text(string.ascii_letters + string.digits + " ,.:;=+-_/~@#%&*()[]{}<>|!?'\"\\$é→", max_size=12)
TEXT = LETTERS.filter(lambda text: text != "???")
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=5).map("x_{}".format)
PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-10, 10) | TEXT
NESTED = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2))
OPEN = st.dictionaries(NAMES, NESTED, max_size=2)


def values_of(kind):
    if isinstance(kind, types.UnionType):
        return st.one_of(*map(values_of, kind.__args__))
    if typing.get_origin(kind) is list:
        return st.lists(TEXT, max_size=3)
    if typing.get_origin(kind) is tuple:
        return st.tuples(*map(values_of, typing.get_args(kind))).map(list)
    if typing.get_origin(kind) is dict:
        return OPEN
    numbers = {int: st.integers(-10**6, 10**6), float: st.floats(allow_nan=False, allow_infinity=False)}
    return {bool: st.booleans(), str: TEXT, types.NoneType: st.none(), **numbers}[kind]


@st.composite
def configs(draw, root):
    tree = {"actor_rollout_ref": {"rollout": {"engine_kwargs": draw(OPEN)}}}
    names = sorted(schema(root))
    for name in draw(st.lists(st.sampled_from(names), max_size=12, unique=True)):
        *path, leaf = name.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[leaf] = draw(values_of(schema(root)[name].kind))
    return from_dict(root, tree)


def hydra_value(value):
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return "[" + ",".join(map(hydra_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}: {hydra_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, str):
        return "'" + value.replace("'", "\\'") + "'"
    return repr(value)


def flat(tree, prefix=""):
    for name, value in tree.items():
        if isinstance(value, dict) and prefix + name not in schema(PPOConfig):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def plain(value):
    """Without backslashes and dollars: how those are escaped is Hydra's own business."""
    if isinstance(value, str):
        return value.replace("\\", "").replace("$", "")
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {name: plain(item) for name, item in value.items()} if isinstance(value, dict) else value


@settings(max_examples=15, deadline=None)
@given(configs(PPOConfig))
def test_a_config_survives_the_command_line(config):
    tree, defaults = plain(to_dict(config)), dict(flat(to_dict(PPOConfig())))
    argv = [f"{name}={hydra_value(value)}" for name, value in flat(tree) if value != defaults[name]]
    assert _load(PPOConfig, "ppo_trainer", argv, lambda _: []) == from_dict(PPOConfig, tree)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=configs(PPOConfig))
def test_a_dumped_config_loads_back_equal(config, tmp_path):
    dump(config, tmp_path / "config.yaml")
    argv = [f"--config-path={tmp_path}", "--config-name=config"]
    assert _load(PPOConfig, "ppo_trainer", argv, lambda _: []) == config


def test_dump_is_resolved_whole_and_alone(ppo_argv, sft_argv, tmp_path):
    for load, argv in ((load_ppo_config, ppo_argv), (load_sft_config, sft_argv)):
        config = load([*argv, "trainer.experiment_name=e1"])
        target = tmp_path / "out" / "config.yaml"
        dump(config, target)
        written = yaml.safe_load(target.read_text())
        assert written["trainer"]["default_local_dir"] == "checkpoints/reasoning360/e1"
        assert from_dict(type(config), written) == config
        assert load([f"--config-path={target.parent}", "--config-name=config"]) == config
        assert [path.name for path in target.parent.iterdir()] == ["config.yaml"]
