"""A character tokenizer in the style of Qwen's chat format, and rows of verl's schema."""
import string

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

CHAT_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}{% if m.tool_calls is defined %} calls{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{{ opening or '' }}{% endif %}")


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Lowercases, then one token per character, with the roles as single tokens."""
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>", "<unk>"]
    vocabulary = [*special, "user", "assistant", "system", *string.ascii_lowercase, *string.digits, *" .,?\n:=+-<>/"]
    backend = Tokenizer(models.WordLevel({token: i for i, token in enumerate(vocabulary)}, unk_token="<unk>"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"user|assistant|system|[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend,
                                        pad_token="<|pad|>",
                                        eos_token="<|im_end|>",
                                        unk_token="<unk>",
                                        additional_special_tokens=["<|im_start|>"])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


@pytest.fixture
def tokenizer():
    return make_tokenizer()
