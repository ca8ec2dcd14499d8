"""A model folder with a tokenizer, rows, and the arguments of a small run."""
import string
from pathlib import Path

import pandas as pd
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

CHAT_TEMPLATE = ("{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}"
                 "{% if message['role'] == 'assistant' %}<end>{% endif %}{% endfor %}"
                 "{% if add_generation_prompt %}<assistant>{% endif %}")


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token per character."""
    special = ["<pad>", "<user>", "<assistant>", "<end>"]
    vocabulary = {token: i for i, token in enumerate([*special, *string.ascii_lowercase, *string.digits, *" +=?."])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=backend,
                                   eos_token="<end>",
                                   pad_token="<pad>",
                                   additional_special_tokens=special[1:3],
                                   chat_template=CHAT_TEMPLATE)


def save_lm(folder: Path, hidden: int = 32, vocab: int | None = None) -> Path:
    """A random two-layer Qwen2 with `make_tokenizer`'s tokenizer beside it."""
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    config = Qwen2Config(vocab_size=vocab or len(tokenizer),
                         hidden_size=hidden,
                         intermediate_size=48,
                         num_hidden_layers=2,
                         num_attention_heads=4,
                         num_key_value_heads=2,
                         max_position_embeddings=128,
                         bos_token_id=None,
                         eos_token_id=tokenizer.eos_token_id,
                         pad_token_id=tokenizer.pad_token_id)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rl_row(i: int, data_source: str = "openai/gsm8k", prompt: str | None = None) -> dict:
    """A row in verl's schema; the gsm8k reward scores it."""
    return {
        "data_source": data_source,
        "prompt": [{
            "role": "user",
            "content": prompt or f"{i}+{i}=?"
        }],
        "reward_model": {
            "style": "rule",
            "ground_truth": str(2 * i)
        },
        "extra_info": {
            "index": i
        },
    }


def sft_row(i: int) -> dict:
    """A prompt and its answer."""
    return {"prompt": f"{i}+{i}=?", "response": f"{2 * i}."}


def write_rows(path: Path, rows: list[dict]) -> Path:
    """Writes the rows as parquet."""
    pd.DataFrame(rows).to_parquet(path)
    return path


def ppo_argv(folder: Path, **overrides: object) -> list[str]:
    """Arguments of main_ppo for a small run on the CPU from `folder`/model and `folder`/train.parquet; double
    underscores in the names of `overrides` stand for dots.
    """
    return _argv(
        {
            "actor_rollout_ref.model.path": folder / "model",
            "data.train_files": folder / "train.parquet",
            "data.train_batch_size": 4,
            "data.max_prompt_length": 16,
            "data.max_response_length": 8,
            "actor_rollout_ref.rollout.name": "hf",
            "actor_rollout_ref.rollout.n": 2,
            "actor_rollout_ref.actor.ppo_mini_batch_size": 4,
            "actor_rollout_ref.actor.use_dynamic_bsz": True,
            "trainer.device": "cpu",
            "trainer.default_local_dir": folder / "out",
        }, overrides)


def sft_argv(folder: Path, **overrides: object) -> list[str]:
    """The same for main_sft and `folder`/sft.parquet."""
    return _argv(
        {
            "model.path": folder / "model",
            "data.train_files": folder / "sft.parquet",
            "data.train_batch_size": 4,
            "data.max_length": 32,
            "optim.lr": 0.01,
            "trainer.device": "cpu",
            "trainer.default_local_dir": folder / "out",
        }, overrides)


def _argv(defaults: dict[str, object], overrides: dict[str, object]) -> list[str]:
    chosen = defaults | {name.replace("__", "."): value for name, value in overrides.items()}
    return [f"{name}={value}" for name, value in chosen.items() if value is not None]
