"""Model folders and hub ids: where the files are, what the config says."""
import os
from pathlib import Path

from huggingface_hub import snapshot_download
from transformers import AutoConfig, GenerationConfig, PretrainedConfig, PreTrainedTokenizerBase


def local_folder(path: str) -> Path:
    """The folder `path`, or the local copy of the hub id `path` (fetched once per node)."""
    folder = Path(os.path.expanduser(path))
    return folder if folder.is_dir() else Path(snapshot_download(path))


def load_hf_config(path: str, trust_remote_code: bool) -> PretrainedConfig:
    """The model's config; ValueError where there is none."""
    try:
        return AutoConfig.from_pretrained(os.path.expanduser(path), trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise ValueError(f"actor_rollout_ref.model.path={path} is no model: {str(error).splitlines()[0]}") from error


def stop_token_ids(tokenizer: PreTrainedTokenizerBase, path: str) -> tuple[int, ...]:
    """Token ids that end an answer: the tokenizer's, and those of the generation config where the model has one."""
    ids = {tokenizer.eos_token_id}
    try:
        generation = GenerationConfig.from_pretrained(os.path.expanduser(path)).eos_token_id
    except OSError:
        generation = None  # a model without generation_config.json
    ids |= set(generation if isinstance(generation, list) else [generation])
    return tuple(sorted(ids - {None}))
