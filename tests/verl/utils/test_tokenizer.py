import json

import numpy as np
import pytest
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, Qwen2Config, Qwen2Tokenizer

from verl.utils import tokenizer as module
from verl.utils.tokenizer import load_tokenizer, pad_token_id, require_chat_template, token_counts, tokenize

TEXT = "Hello a b\n user"


@pytest.fixture
def qwen2_folder(tokenizer, tmp_path):
    """A model folder whose config.json says qwen2 and whose tokenizer is its own."""
    Qwen2Config(hidden_size=8, num_hidden_layers=1, vocab_size=64).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def rename_class(folder, name):
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"tokenizer_class": name}))


@pytest.mark.parametrize("saved_as", ["TokenizersBackend", "PreTrainedTokenizerFast"])
def test_generic_class_keeps_its_own_normalizer_and_pre_tokenizer(qwen2_folder, tokenizer, saved_as):
    rename_class(qwen2_folder, saved_as)
    assert AutoTokenizer.from_pretrained(qwen2_folder)(TEXT).input_ids != tokenizer(
        TEXT).input_ids  # why this module exists
    loaded = load_tokenizer(str(qwen2_folder))
    assert loaded(TEXT).input_ids == tokenizer(TEXT).input_ids
    assert loaded.decode(loaded(TEXT).input_ids) == TEXT.lower()
    assert loaded.chat_template == tokenizer.chat_template and loaded.eos_token == "<|im_end|>"


def test_family_class_goes_through_auto_tokenizer(qwen2_folder):
    rename_class(qwen2_folder, "Qwen2Tokenizer")
    assert isinstance(load_tokenizer(str(qwen2_folder)), Qwen2Tokenizer)


def test_remote_code_is_left_to_auto_tokenizer(qwen2_folder, monkeypatch):
    file = qwen2_folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"auto_map": {"AutoTokenizer": [None, "x.Y"]}}))
    seen = {}
    monkeypatch.setattr(module.AutoTokenizer, "from_pretrained",
                        lambda path, **kwargs: seen.update(path=path, **kwargs))
    load_tokenizer(str(qwen2_folder), trust_remote_code=True)
    assert seen == {"path": str(qwen2_folder), "trust_remote_code": True}


def test_missing_folder_is_named_at_once(tmp_path):
    with pytest.raises(ValueError, match="no model folder '.*/nowhere'.*model.path"):
        load_tokenizer(str(tmp_path / "nowhere"))


def test_mistyped_relative_folder_is_not_looked_up_on_the_hub(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    for path in ("models/nowhere", "./nowhere", "a/b/c"):
        with pytest.raises(ValueError, match="no model folder"):
            load_tokenizer(path)


def test_unreachable_hub_id_is_one_line(monkeypatch):

    def unreachable(path):
        raise OSError("We couldn't connect\nand more")

    monkeypatch.setattr(module, "get_tokenizer_config", unreachable)
    with pytest.raises(ValueError, match=r"from 'some/model' \(We couldn't connect\): give a folder"):
        load_tokenizer("some/model")


def test_folder_without_tokenizer_files(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="has no tokenizer .*tokenizer_path"):
        load_tokenizer(str(tmp_path))


def test_pad_token_falls_back_to_eos(tokenizer):
    assert pad_token_id(tokenizer) == 0
    tokenizer.pad_token = None
    assert pad_token_id(tokenizer) == tokenizer.eos_token_id
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match="neither pad_token nor eos_token"):
        pad_token_id(tokenizer)


def test_missing_chat_template_names_both_remedies(tokenizer):
    require_chat_template(tokenizer)
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="chat_template.jinja .*`apply_chat_template: false` and `raw_prompt`"):
        require_chat_template(tokenizer)


def test_tokenize_in_chunks_equals_one_by_one(tokenizer, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 3)
    texts = ["ab", "", "<|im_start|>user\nhi<|im_end|>", "a b c", "7", "x" * 50, ""]
    ragged = tokenize(tokenizer, texts)
    assert ragged.values.dtype == np.int32 and len(ragged) == len(texts)
    for ids, text in zip(ragged, texts, strict=True):
        assert ids.tolist() == tokenizer.encode(text, add_special_tokens=False)
    assert len(tokenize(tokenizer, [])) == 0


def test_tokenize_adds_no_bos(tokenizer):
    """Templates write BOS themselves; twice would be once too many."""
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<|im_start|> $A",
                                                                    special_tokens=[("<|im_start|>", 1)])
    assert tokenizer("a").input_ids == [1, *tokenize(tokenizer, ["a"])[0]]


def test_token_counts_are_those_of_tokenize(tokenizer):
    texts = [TEXT, "", "<|im_end|> a" * 50, "h"]
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding()
    counts = token_counts(tokenizer, texts)
    assert counts == tokenize(tokenizer, texts).lengths.tolist() and max(counts) > 3
