"""Command line and YAML -> a checked, frozen config. No DictConfig leaves this package."""
import dataclasses
import difflib
import functools
import logging
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl.config import aliases, show
from verl.config.checks import advice_ppo, check_ppo, check_sft
from verl.config.compose import MISSING, Setting, parse_overrides, read_yaml, split_options
from verl.config.fields import ConfigError, fill, groups, schema, to_dict
from verl.config.ppo import PPOConfig
from verl.config.rules import ANY
from verl.config.sft import SFTConfig
from verl.config.states import field_of, find_rule

logger = logging.getLogger(__name__)
Root = TypeVar("Root", PPOConfig, SFTConfig)


def load_ppo_config(argv: Sequence[str]) -> PPOConfig:
    """The config of main_ppo from its command-line arguments.

    Raises:
        ConfigError: everything that is wrong, one line per cause.
        SystemExit: code 0, after printing what `--help` or `--show-args` asked for.
    """
    config = _load(PPOConfig, "ppo_trainer", argv, check_ppo)
    for line in advice_ppo(config):
        logger.warning("%s", line)
    return config


def load_sft_config(argv: Sequence[str]) -> SFTConfig:
    """The config of main_sft; as `load_ppo_config`."""
    return _load(SFTConfig, "sft_trainer", argv, check_sft)


def _load(root: type[Root], yaml_name: str, argv: Sequence[str], check: Callable[[Root], list[str]]) -> Root:
    options, tokens = split_options(argv, yaml_name)
    if options.help or options.show_args:
        sys.stdout.write(show.show_args(root) if options.show_args else show.usage(root))
        raise SystemExit(0)
    loader = _Loader(root)
    overrides = parse_overrides(tokens, loader.problems)
    config = loader.build(read_yaml(options.config_path, options.config_name) + overrides)
    blamed = _keys_in(loader.problems, root)
    loader.problems += [line for line in check(config) if not blamed & _keys_in([line], root)]
    if loader.problems:
        raise ConfigError(loader.problems)
    for line in loader.warnings():
        logger.warning("%s", line)
    return config


def _keys_in(lines: Sequence[str], root: type) -> set[str]:
    """Keys that the lines name: what a wrong key leads to is no cause of its own."""
    return {word for line in lines for word in re.findall(r"[\w.]+", line) if word in schema(root)}


def nearest_key(root: type, name: str) -> str | None:
    """The key that was probably meant: the same last name elsewhere, else the most similar name. The critic's keys
    repeat the actor's: they count only where the name begins alike.
    """
    names, leaf = list(schema(root)), name.rpartition(".")[2]
    if not name.startswith("cri"):
        names = [other for other in names if not other.startswith("critic.")]
    elsewhere = [other for other in names if other.rpartition(".")[2] == leaf]
    similar = difflib.get_close_matches(name, elsewhere or names, n=1, cutoff=0 if elsewhere else 0.6)
    return similar[0] if similar else None


class _Loader:
    """Turns settings into a config; `problems` and `warnings` say what was wrong or without effect."""

    def __init__(self, root: type) -> None:
        self.root = root
        self.problems: list[str] = []
        self._tree = to_dict(root())  # raw values under old and new names, for interpolation
        self._chosen: dict[str, Setting] = {}  # by today's name; the last one counts
        self._origins: dict[str, str] = {}  # today's name -> renamed one that was used
        self._notes: dict[str, dict[str, None]] = {}  # reason -> keys

    def build(self, settings: Sequence[Setting]) -> Any:
        for setting in settings:
            self._choose(setting)
        chosen = self._chosen | self._default_interpolations()
        tree, values = OmegaConf.create(self._tree), {}
        for name, setting in chosen.items():
            try:
                value = _resolved(tree, setting.path)
            except OmegaConfBaseException as error:
                if name in self._chosen and not self._is_unread(name):
                    self.problems.append(f"{name}={setting.value}: {str(error).splitlines()[0]}")
                continue
            if self._accept(name, setting, value):
                _put(values, setting.path, self._translated(name, value))
        for old, new in aliases.GLOBAL_COUNTS[self.root].items():
            if self._origins.get(new) == old:
                self._divide_total(old, new, values)
        return fill(self.root(), values, self.problems)

    def warnings(self) -> list[str]:
        renamed = [f"{old} is now called {new}" for new, old in self._origins.items()]
        return renamed + [f"{', '.join(keys)}: {why}" for why, keys in self._notes.items()]

    def _choose(self, setting: Setting) -> None:
        """Takes a setting under today's name, or reports that there is no such key."""
        if setting.path[-1] == "_target_":  # written by verl's own YAML; classes are fixed here
            return
        new = aliases.new_name(self.root, setting.name)
        name, path = new or setting.name, tuple(new.split(".")) if new else setting.path
        row = field_of(self.root, name)
        if name in groups(self.root):
            if not setting.from_file or setting.value:
                self.problems.append(f"{name}={setting.value}: it is a group of keys, such as {self._member(name)}")
            return
        if row is None and find_rule(self.root, name) is None:
            near = nearest_key(self.root, name)
            hint = f"did you mean {near}?" if near else "--show-args lists all keys"
            self.problems.append(f"unknown key {setting.name} ({hint})")
            return
        if row and row.name == name and row.takes_text and isinstance(setting.value, int | float):
            # as it was typed: 2026_01 is a number for Hydra, but a name here
            setting = dataclasses.replace(setting, value=setting.text.strip() or setting.value)
        if new and (setting.value is None or "${" in str(setting.value) and new in str(setting.value)):
            return  # an old name left empty, or one that only repeats the new one
        try:
            OmegaConf.create([setting.value])
        except OmegaConfBaseException as error:
            self.problems.append(f"{name}={setting.value}: {str(error).splitlines()[0]}; a plain ${{ is written \\${{")
            return
        self._origins.pop(name, None)
        if new:
            self._origins[name] = setting.name
        _put(self._tree, setting.path, setting.value)
        _put(self._tree, path, setting.value)
        self._chosen[name] = dataclasses.replace(setting, path=path)

    def _member(self, group: str) -> str:
        return next(name for name in schema(self.root) if name.startswith(group + "."))

    def _default_interpolations(self) -> dict[str, Setting]:
        rows = [row for row in schema(self.root).values() if isinstance(row.default, str) and "${" in row.default]
        return {
            row.name: Setting(tuple(row.name.split(".")), row.default, True)
            for row in rows
            if row.name not in self._chosen
        }

    def _accept(self, name: str, setting: Setting, value: Any) -> bool:
        """Whether a field takes the value; notes what is idle, reports what is refused."""
        row, rule = field_of(self.root, name), find_rule(self.root, name)
        own_field = row is not None and row.name == name
        is_unset = value is None and setting.from_file and (row is None or own_field and not row.nullable)
        if value == MISSING or is_unset:
            return False
        if rule and value not in rule.fine:
            if value in rule.idle:
                self._note(rule.why, rule.key if "**" in rule.key else name)
            elif not own_field:  # fields are checked with the whole config
                self.problems.append(f"{name}={value}: {rule.why}")
        return own_field or row is not None and rule is None

    def _is_unread(self, name: str) -> bool:
        """Whether every value is accepted because nothing reads it."""
        rule = find_rule(self.root, name)
        return rule is not None and ANY in (rule.fine, rule.idle) and name not in schema(self.root)

    def _note(self, why: str, key: str) -> None:
        self._notes.setdefault(why, {})[key] = None

    def _translated(self, name: str, value: Any) -> Any:
        """Today's value for one that was renamed."""
        if not isinstance(value, str | bool) or value not in aliases.VALUES.get(name, {}):
            return value
        new, why = aliases.VALUES[name][value]
        if why:
            self._note(why, f"{name}={value}")
        return new

    def _divide_total(self, old: str, new: str, values: dict[str, Any]) -> None:
        """A count over all devices, set under its `old` name -> the count per device."""
        run = fill(self.root(), {"trainer": values.get("trainer", {})}, []).trainer
        *path, leaf = new.split(".")
        holder = functools.reduce(dict.__getitem__, path, values)
        total, devices = holder.pop(leaf), run.nnodes * run.n_gpus_per_node
        if isinstance(total, int) and total % devices == 0:
            holder[leaf] = total // devices
        else:
            self.problems.append(
                f"{old}={total}: it counts over all {devices} devices and is no multiple of them; set {new}")


def _resolved(tree: DictConfig, path: tuple[str, ...]) -> Any:
    node = tree
    for part in path:
        node = node[part]
    return OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig | ListConfig) else node


def _put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Sets a leaf; an empty dict leaves what is there."""
    for part in path[:-1]:
        if not isinstance(tree.get(part), dict):
            tree[part] = {}
        tree = tree[part]
    if value != {} or path[-1] not in tree:
        tree[path[-1]] = value
