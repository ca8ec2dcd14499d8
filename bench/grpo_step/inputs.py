"""A model whose answers have lengths by design, its tokenizer and its prompts: the same files for both sides.

The residual stream of the last token decides alone: embeddings point to a class of tokens, and the head gives each
class its successors and its chance to end. Layers add noise of small weight, so the work is that of any Qwen2.
"""
import json
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

VOCAB, HIDDEN, LAYERS = 512, 256, 4
SPECIAL = ("<pad>", "<end>", "<start>")
PAD, END, START = range(3)  # START closes every prompt
SHORT, LONG = slice(8, VOCAB // 2), slice(VOCAB // 2, VOCAB)
PROMPT_TOKENS, PROMPTS = 20, 512


@dataclass(frozen=True)
class Case:
    """Answers of class SHORT end with chance `short_end` after each token, those of class LONG with `long_end`."""
    max_tokens: int
    long_share: float
    short_end: float
    long_end: float


CASES = {
    "near-equal": Case(max_tokens=64, long_share=0.0, short_end=1 / 250, long_end=0.0),
    "long-tailed": Case(max_tokens=256, long_share=0.06, short_end=1 / 20, long_end=0.0),
}


def make_inputs(folder: Path, case: Case) -> None:
    """`folder`/model (with tokenizer), prompts.jsonl (text; TRL) and prompts.parquet (rows; this project)."""
    tokenizer = _tokenizer()
    _model(case).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    words = torch.randint(SHORT.start, SHORT.stop, (PROMPTS, PROMPT_TOKENS - 1), generator=_seeded(1)).tolist()
    prompts = [" ".join([*(f"t{i}" for i in row), SPECIAL[START]]) for row in words]
    (folder / "prompts.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in prompts))
    pd.DataFrame([_row(text, i) for i, text in enumerate(prompts)]).to_parquet(folder / "prompts.parquet")


def _row(text: str, index: int) -> dict[str, object]:
    return {
        "data_source": "bench",
        "prompt": [{
            "role": "user",
            "content": text
        }],
        "raw_prompt": text,
        "apply_chat_template": False,
        "reward_model": {
            "style": "rule",
            "ground_truth": ""
        },
        "extra_info": {
            "split": "train",
            "index": index
        },
    }


def _tokenizer() -> PreTrainedTokenizerFast:
    words = [*SPECIAL, *(f"t{i}" for i in range(len(SPECIAL), VOCAB))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=SPECIAL[PAD]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    template = "{% for message in messages %}{{ message['content'] }} {% endfor %}"
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer,
                                   pad_token=SPECIAL[PAD],
                                   eos_token=SPECIAL[END],
                                   chat_template=template)


def _model(case: Case) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(vocab_size=VOCAB,
                    hidden_size=HIDDEN,
                    intermediate_size=704,
                    num_hidden_layers=LAYERS,
                    num_attention_heads=8,
                    num_key_value_heads=4,
                    max_position_embeddings=1024,
                    tie_word_embeddings=False,
                    eos_token_id=END,
                    pad_token_id=PAD,
                    bos_token_id=None,
                    dtype="float32"))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.mul_(0.01)
            layer.mlp.down_proj.weight.mul_(0.01)
        embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
        embedding.normal_(std=0.02)
        for direction, tokens in enumerate((SHORT, LONG, START)):
            embedding[tokens, direction] = 4.0
        head.zero_()
        scale = math.sqrt(HIDDEN)  # what the last norm makes of a class's direction
        for direction, log_odds in enumerate(_successors(case)):
            head[:, direction] = log_odds / scale
    return model


def _successors(case: Case) -> list[torch.Tensor]:
    """Logits [VOCAB] after a token of each class: SHORT, LONG, START."""
    never = -30.0
    rows = [torch.full((VOCAB,), never) for _ in range(3)]
    for row, tokens, end in ((rows[0], SHORT, case.short_end), (rows[1], LONG, case.long_end)):
        count = tokens.stop - tokens.start
        row[tokens] = 0.0
        row[END] = math.log(count * end / (1 - end)) if end else never
    for tokens, share in ((SHORT, 1 - case.long_share), (LONG, case.long_share)):
        rows[2][tokens] = math.log(share / (tokens.stop - tokens.start)) if share else never
    return rows


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
