"""Checks of the files that a config names."""
import re
from collections.abc import Iterator
from pathlib import Path

from verl.config.ppo import PPOConfig

_HUB_ID = re.compile(r"\w[\w.-]*(/[\w.-]+)?")


def model_files(prefix: str, path: str, tokenizer: str | None) -> Iterator[str]:
    """The model folder (or hub id) and the tokenizer's, under the keys of `prefix`."""
    if not path:
        yield f"{prefix}.path is not set: name a local folder or a hub id such as Qwen/Qwen2.5-0.5B"
    elif Path(path).expanduser().is_dir():
        if not (Path(path).expanduser() / "config.json").is_file():
            yield f"{prefix}.path={path}: there is no config.json in that folder"
    elif not _HUB_ID.fullmatch(path):
        yield f"{prefix}.path={path}: there is no such folder"
    if tokenizer and not _HUB_ID.fullmatch(tokenizer) and not Path(tokenizer).expanduser().is_dir():
        yield f"{prefix}.tokenizer_path={tokenizer}: there is no such folder"


def data_files(train_files: list[str], val_files: list[str]) -> Iterator[str]:
    """`data.train_files` and `data.val_files`."""
    if not train_files:
        yield "data.train_files is not set: name a parquet or JSON file, or a list of them"
    for key, files in (("data.train_files", train_files), ("data.val_files", val_files)):
        for file in files:
            if not Path(file).expanduser().is_file():
                yield f"{key}: there is no file {file}"


def reward_file(config: PPOConfig) -> Iterator[str]:
    """`custom_reward_function.path`."""
    path = config.custom_reward_function.path
    if path and not Path(path).expanduser().is_file():
        yield f"custom_reward_function.path={path}: there is no such file"
