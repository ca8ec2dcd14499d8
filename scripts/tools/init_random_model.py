"""A model folder with random weights from any Hugging Face config: for tests, benchmarks and training from scratch.

    python scripts/tools/init_random_model.py -i Qwen/Qwen2.5-0.5B -o tiny --set num_hidden_layers=2
"""
import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from verl.utils.fs import atomic_directory
from verl.utils.tokenizer import load_tokenizer


def changed(config: PretrainedConfig, settings: list[str]) -> PretrainedConfig:
    """`config` with `name=value` settings (values as JSON) made. ValueError for names that it does not have."""
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not hasattr(config, name):
            raise ValueError(f"--set {setting}: give name=value with a name of {type(config).__name__}")
        setattr(config, name, _value(text))
        if name == "num_hidden_layers" and getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:config.num_hidden_layers]
    return config


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def make_model(source: str, output: Path, settings: list[str], seed: int, dtype: str, tokenizer: str | None) -> int:
    """Writes the folder `output`; -> its number of parameters. `source`: hub id, folder or config.json."""
    config = changed(AutoConfig.from_pretrained(source), settings)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    with atomic_directory(output) as folder:
        model.save_pretrained(folder)
        if tokenizer is not None:
            load_tokenizer(tokenizer).save_pretrained(folder)
    return sum(p.numel() for p in model.parameters())


def main(argv: list[str]) -> int:
    """-> the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", "--input", required=True, help="hub id, model folder or config.json")
    parser.add_argument("-o", "--output", type=Path, required=True, help="new folder")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change the config")
    parser.add_argument("--tokenizer",
                        help="folder or hub id to copy the tokenizer from; default: the input's; '': none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16", "float16"])
    options = parser.parse_args(argv)
    tokenizer = options.input if options.tokenizer is None and not options.input.endswith(
        ".json") else options.tokenizer
    if options.output.exists():
        print(f"error: {options.output} exists; name a new folder", file=sys.stderr)
        return 2
    try:
        size = make_model(options.input, options.output, options.set, options.seed, options.dtype, tokenizer or None)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.output}: {size:,} random parameters")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
