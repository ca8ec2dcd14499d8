"""The quick start's inputs: spelling problems as parquet, and a small untrained Qwen2-style model with its tokenizer.
"""
import json
import string
from pathlib import Path
from typing import Any

import pandas as pd
import reasoning_gym
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

TASK = "spell_backward"
TRAIN_ROWS, HELD_OUT_ROWS, WARM_START_ROWS = 8000, 256, 20480
SHORT_SHARE = 0.6  # of the warm start's answers lack their last letter: reinforcement mends that
PROMPT_WORDS = ("Spell", "this", "word", "backward", "example", "sun", "->", "nus")
SPECIAL = ("<|pad|>", "<|user|>", "<|assistant|>", "<|end|>")
CHAT_TEMPLATE = ("{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}"
                 "{% if message['role'] == 'assistant' %}<|end|>{% endif %}{% endfor %}"
                 "{% if add_generation_prompt %}<|assistant|>{% endif %}")


def make_data(folder: Path, seed: int) -> None:
    """train.parquet, held_out.parquet (no question in both) and sft.parquet (prompt, response) under `folder`."""
    held_out = _problems(HELD_OUT_ROWS, seed + 500_000)  # the generator's seeds overlap by shift
    asked = {problem["question"] for problem in held_out}
    train = [p for p in _problems(TRAIN_ROWS * 2, seed) if p["question"] not in asked][:TRAIN_ROWS]
    for name, problems in (("train", train), ("held_out", held_out)):
        pd.DataFrame([_rl_row(p, name, i) for i, p in enumerate(problems)]).to_parquet(folder / f"{name}.parquet")
    rng = torch.Generator().manual_seed(seed)
    short = torch.rand(WARM_START_ROWS, generator=rng) < SHORT_SHARE
    problems = [train[i % len(train)] for i in torch.randperm(WARM_START_ROWS, generator=rng).tolist()]
    rows = [{
        "prompt": p["question"],
        "response": p["answer"][:-1] if cut else p["answer"]
    } for p, cut in zip(problems, short.tolist(), strict=True)]
    pd.DataFrame(rows).to_parquet(folder / "sft.parquet")


def _problems(size: int, seed: int) -> list[dict[str, Any]]:
    """reasoning_gym entries with their word in lower case."""
    data = reasoning_gym.create_dataset(TASK, seed=seed, size=size, min_word_len=3, max_word_len=5)
    return [{**e, "question": _lower_word(e["question"]), "answer": e["answer"].lower()} for e in data]


def _lower_word(question: str) -> str:
    head, word = question.rsplit(" ", 1)
    return f"{head} {word.lower()}"


def _rl_row(entry: dict[str, Any], split: str, index: int) -> dict[str, Any]:
    return {
        "data_source": "reasoning_gym",
        "prompt": [{
            "role": "user",
            "content": entry["question"]
        }],
        "ability": "reasoning",
        "reward_model": {
            "style": "rule",
            "ground_truth": entry["answer"]
        },
        "extra_info": {
            "split": split,
            "index": index,
            "task": TASK,
            "entry": json.dumps(entry)
        },
    }


def make_model(folder: Path, seed: int) -> None:
    """A Qwen2 of 0.43 M random parameters and a tokenizer of letters and the prompt's own words."""
    tokenizer = make_tokenizer()
    config = Qwen2Config(vocab_size=len(tokenizer),
                         hidden_size=128,
                         intermediate_size=384,
                         num_hidden_layers=2,
                         num_attention_heads=4,
                         num_key_value_heads=2,
                         max_position_embeddings=256,
                         tie_word_embeddings=False,
                         eos_token_id=tokenizer.eos_token_id,
                         pad_token_id=tokenizer.pad_token_id,
                         bos_token_id=None)
    torch.manual_seed(seed)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Every printable character is a token, and so are the words that each prompt repeats (with the space before them).
    """
    words = [f" {word}" for word in PROMPT_WORDS] + list(PROMPT_WORDS)
    vocabulary = [*SPECIAL, *string.printable, *words]
    tokenizer = Tokenizer(
        models.WordLevel({
            token: i for i, token in enumerate(dict.fromkeys(vocabulary))
        }, unk_token="<|pad|>"))
    tokenizer.normalizer = normalizers.NFC()
    alternatives = "|".join(word.replace("-", r"\-") for word in words)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(rf"({alternatives})(?![a-z])|[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer,
                                   eos_token="<|end|>",
                                   pad_token="<|pad|>",
                                   additional_special_tokens=list(SPECIAL[1:3]),
                                   chat_template=CHAT_TEMPLATE)
