"""Loading a tokenizer, and turning texts into flat token arrays."""
import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from verl.utils.ragged import Ragged

# Names under which transformers (4 and 5) saves a tokenizer that is nothing but its tokenizer.json.
_GENERIC_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")
_CHUNK = 2048  # texts per tokenizer call: enough for its threads, little enough that Python ints do not pile up


def load_tokenizer(path: str, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder or hub id.

    A folder whose tokenizer_config.json names the generic class is loaded as its tokenizer.json says. AutoTokenizer
    (transformers 5.17) would go by the `model_type` in config.json instead and, for qwen2 and others, rebuild that
    family's own normalizer and pre-tokenizer, which encodes a custom vocabulary wrongly.

    Raises ValueError if there is no such folder, or no tokenizer in it.
    """
    path = os.path.expanduser(path)
    _check_local_folder(path)
    try:
        settings = get_tokenizer_config(path)
        if settings.get("tokenizer_class") in _GENERIC_CLASSES and "auto_map" not in settings:
            return PreTrainedTokenizerFast.from_pretrained(path)
        return AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise ValueError(f"no tokenizer could be loaded from {path!r} ({_first_line(error)}): give a folder with "
                         "tokenizer.json and tokenizer_config.json, or a hub id that can be reached") from error


def pad_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that fills padding: the pad token, or the end-of-sequence token where a tokenizer has none."""
    if tokenizer.pad_token_id is not None:
        return tokenizer.pad_token_id
    if tokenizer.eos_token_id is not None:
        return tokenizer.eos_token_id
    raise ValueError(
        f"the tokenizer of {tokenizer.name_or_path!r} has neither pad_token nor eos_token: name one in its "
        "tokenizer_config.json")


def require_chat_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises ValueError if the tokenizer cannot render messages; to be called where a row has messages."""
    if not tokenizer.chat_template:
        raise ValueError(
            f"the tokenizer of {tokenizer.name_or_path!r} has no `chat_template`, which a prompt of messages needs: "
            "put a chat_template.jinja into that folder, or give the rows `apply_chat_template: false` and `raw_prompt`"
        )


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Ragged:
    """Token ids of each text as it stands (no BOS or EOS is added): a Ragged of int32, one row per text."""
    chunks, lengths = [np.empty(0, np.int32)], []
    for start in range(0, len(texts), _CHUNK):
        ids = tokenizer(list(texts[start:start + _CHUNK]), add_special_tokens=False,
                        return_attention_mask=False)["input_ids"]
        lengths.extend(map(len, ids))
        chunks.append(np.fromiter(chain.from_iterable(ids), np.int32))
    return Ragged.from_lengths(np.concatenate(chunks), lengths)


def token_counts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[int]:
    """[texts], how many tokens `tokenize` makes of each; faster, since nobody sees them."""
    if not tokenizer.is_fast:
        return tokenize(tokenizer, texts).lengths.tolist()
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return [len(encoding) for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]


def _check_local_folder(path: str) -> None:
    """Spares whoever mistypes a path the hub's retries: what cannot be a hub id must be a folder with a tokenizer."""
    folder = Path(path)
    beside_others = folder.parent != Path(".") and folder.parent.is_dir()
    if not folder.is_dir() and (path.startswith((".", "/")) or path.count("/") > 1 or beside_others):
        raise ValueError(f"no model folder {path!r}: check actor_rollout_ref.model.path (or tokenizer_path)")
    if folder.is_dir() and not any(name.startswith(("tokenizer", "vocab", "spiece")) for name in os.listdir(folder)):
        raise ValueError(f"the folder {path!r} has no tokenizer (no tokenizer.json): save one there, or set "
                         "actor_rollout_ref.model.tokenizer_path")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
