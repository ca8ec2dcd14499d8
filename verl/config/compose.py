"""From the command line to a flat list of settings: Hydra composes the YAML and parses the overrides.

Nothing here knows which keys exist. Problems are collected, not raised one by one.
"""
import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl.config.fields import ConfigError

PACKAGE = Path(__file__).parent
MISSING = "???"


@dataclass(frozen=True)
class Setting:
    """One value that the user wrote, before any conversion; `text` is how it stood on the command line."""
    path: tuple[str, ...]
    value: Any
    from_file: bool
    text: str = ""

    @property
    def name(self) -> str:
        return ".".join(self.path)


def split_options(argv: Sequence[str], default_name: str) -> tuple[argparse.Namespace, list[str]]:
    """Hydra's options (`config_path`, `config_name`) and ours (`show_args`, `help`), and the overrides that remain."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-path", "-cp")
    parser.add_argument("--config-name", "-cn", default=default_name)
    parser.add_argument("--show-args", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    return parser.parse_known_args(list(argv))


class _PackagedConfigs(SearchPathPlugin):
    """Lets the `defaults` list of a user's YAML name the ones of this package."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append(provider="verl", path=f"pkg://{__package__}")


def read_yaml(directory: str | None, name: str) -> list[Setting]:
    """The settings of a YAML file and of what its `defaults` list names, interpolations unresolved.

    A relative `directory` that is not there stands for the one of this package, as in published scripts.
    """
    name = name.removesuffix(".yaml")
    folder = _folder(directory, name)
    Plugins.instance().register(_PackagedConfigs)
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(folder)):
            composed = OmegaConf.to_container(compose(name), resolve=False)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError([f"{folder / name}.yaml: {_one_line(error)}"]) from error
    return [Setting(path, value, from_file=True) for path, value in _leaves(composed, ()) if value != MISSING]


def _folder(directory: str | None, name: str) -> Path:
    """The absolute folder that holds NAME.yaml."""
    folder = Path(directory or PACKAGE).expanduser()
    if (folder / f"{name}.yaml").is_file():
        return folder.absolute()
    if not folder.is_absolute() and (PACKAGE / f"{name}.yaml").is_file():
        return PACKAGE
    found = ", ".join(sorted(path.stem for path in folder.glob("*.yaml"))) or "no YAML file"
    raise ConfigError([f"--config-name={name}: there is no {name}.yaml in {folder} (there is {found})"])


def parse_overrides(tokens: Sequence[str], problems: list[str]) -> list[Setting]:
    """The settings of `key=value`, `+key=value` and `++key=value`, in order. Values follow Hydra's grammar."""
    parser, settings = OverridesParser.create(), []
    for token in tokens:
        if token.startswith("-"):
            problems.append(f"unknown option {token}: keys are set by key=value; --show-args lists them")
            continue
        try:
            override = parser.parse_override(token)
        except HydraException as error:
            problems.append(f"{token}: {_parse_hint(token, error)}")
            continue
        if override.is_delete():
            problems.append(f"{token}: a key cannot be removed; set {override.key_or_group} to its default instead")
        elif override.package is not None:
            problems.append(f"{token}: choose config groups in the defaults list of a YAML file, not here")
        elif override.is_sweep_override():
            problems.append(f"{token}: one run takes one value; write a list as [a,b], text with commas in quotes")
        else:
            path, text = tuple(override.key_or_group.split(".")), token.partition("=")[2]
            settings += [Setting(leaf, value, False, text) for leaf, value in _leaves(override.value(), path)]
    return settings


def _parse_hint(token: str, error: Exception) -> str:
    if not re.match(r"[+~]*[\w.@/]+=", token):
        return "expected key=value"
    return f"cannot be read ({_one_line(error)}); put text with special characters in quotes, as in \"key='…'\""


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _leaves(item, (*path, str(name)))
    else:
        yield path, value


def _one_line(error: BaseException) -> str:
    """The first line of a Hydra error or of what caused it; a YAML error's several lines say one thing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return _one_line(error.__cause__) if error.__cause__ else type(error).__name__
    return " ".join(lines) if isinstance(error, yaml.YAMLError) else lines[0]
