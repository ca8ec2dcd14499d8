import logging

import numpy as np
import pytest

from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.dataset.sft_dataset import SFTDataset


def parts(dataset, tokenizer, i=0):
    """The text of sample `i`, learned stretches in brackets."""
    text, inside = "", False
    for token, learned in zip(dataset.input_ids[i], dataset.loss_mask[i], strict=True):
        text += "[" if learned and not inside else "]" if inside and not learned else ""
        text, inside = text + tokenizer.decode([token]), learned
    return text + ("]" if inside else "")


def turns(*texts):
    return [{
        "role": role,
        "content": text
    } for role, text in zip(["user", "assistant"] * len(texts), texts, strict=False)]


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_prompt_and_response(tokenizer, sft_config, write, name):
    path = write(name, [{"prompt": "hi", "response": "yes."}, {"prompt": "ho", "response": "no"}])
    dataset = SFTDataset([path], tokenizer, sft_config())
    assert parts(dataset, tokenizer) == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n[yes.<|im_end|>]"
    assert parts(dataset, tokenizer, 1).endswith("\n[no<|im_end|>]")
    assert dataset.input_ids.values.dtype == np.int32 and dataset.loss_mask.values.dtype == bool
    assert dataset.input_ids.lengths.tolist() == dataset.loss_mask.lengths.tolist() and len(dataset) == 2


def test_prompt_of_messages_and_raw_prompt(tokenizer, sft_config, write):
    rows = [{"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}], "response": "r"},
            {"prompt": None, "raw_prompt": "q: ", "apply_chat_template": False, "response": "r"}]  # yapf: disable
    dataset = SFTDataset([write("a.parquet", rows)], tokenizer, sft_config())
    assert parts(
        dataset,
        tokenizer) == ("<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n"
                       "[r<|im_end|>]")
    assert parts(dataset, tokenizer, 1) == "q: [r<|im_end|>]"


def test_prompt_ids_are_those_that_rl_generates_from(tokenizer, sft_config, data_config, write, make_row):
    path = write("a.parquet", [make_row(prompt="count") | {"response": "1 2"}])
    config = {"apply_chat_template_kwargs": {"opening": "<think>"}}
    prompt = RLHFDataset([path], tokenizer, data_config(**config))[0].prompt_ids
    dataset = SFTDataset([path], tokenizer, sft_config(**config))
    assert dataset.input_ids[0][~dataset.loss_mask[0]].tolist() == prompt.tolist()


def test_every_assistant_turn_is_learned(tokenizer, sft_config, write):
    messages = [{"role": "system", "content": "s"}, *turns("a", "b c", "d", "e", "never answered")]
    dataset = SFTDataset([write("a.parquet", [{"messages": messages}])], tokenizer, sft_config())
    rendered = tokenizer.apply_chat_template(messages[:-1], tokenize=False)
    assert parts(
        dataset,
        tokenizer) == ("<|im_start|>system\ns<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"
                       "[b c<|im_end|>]\n<|im_start|>user\nd<|im_end|>\n<|im_start|>assistant\n[e<|im_end|>]")
    assert tokenizer.decode(dataset.input_ids[0]) == rendered.removesuffix("\n")


def test_one_turn_as_messages_equals_prompt_and_response(tokenizer, sft_config, write):
    rows = [{"messages": turns("a", "b")}, {"prompt": "a", "response": "b"}]
    dataset = SFTDataset([write("a.json", rows)], tokenizer, sft_config())
    for column in (dataset.input_ids, dataset.loss_mask):
        assert column[0].tolist() == column[1].tolist()


def test_end_mark_that_is_not_eos_is_learned(tokenizer, sft_config, write):
    tokenizer.eos_token = "<|pad|>"
    dataset = SFTDataset([write("a.json", [{"messages": turns("a", "b")}])], tokenizer, sft_config())
    assert parts(dataset, tokenizer).endswith("assistant\n[b<|im_end|>]")


def test_other_keys(tokenizer, sft_config, write):
    config = sft_config(prompt_key="q", response_key="a", messages_key="talk")
    dataset = SFTDataset([write("a.json", [{"q": "x", "a": "y"}, {"talk": turns("x", "y")}])], tokenizer, config)
    assert parts(dataset, tokenizer) == parts(dataset, tokenizer, 1)


def test_template_that_rewrites_earlier_turns_is_refused(tokenizer, sft_config, write):
    # As Qwen3's does: what was thought in earlier turns is left out.
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "{{ m['content'] }}", "{{ m['content'] if loop.last else m['content'].split('</think>')[-1] }}")
    good = {"messages": turns("a", "<think>x</think>b")}
    bad = {"messages": turns("a", "<think>x</think>b", "c", "d")}
    assert "[<think>x</think>b<|im_end|>]" in parts(SFTDataset([write("g.json", [good])], tokenizer, sft_config()),
                                                    tokenizer)
    with pytest.raises(ValueError, match="a.json, row 1: the chat template renders what precedes message 3 otherwise"):
        SFTDataset([write("a.json", [good, bad])], tokenizer, sft_config())


@pytest.mark.parametrize("row, message", [
    ({"prompt": "a", "answer": "b"},
     "row 0: there is neither `messages` nor `response`, only prompt, answer: .*data.response_key"),
    ({"prompt": "a", "response": ["b"]}, "row 0: `response` is of type list, not text"),
    ({"response": "b"}, "row 0: `prompt` is missing, not a list"),
    ({"messages": turns("a")}, "row 0: there is no message of the assistant"),
    ({"messages": "a"}, "row 0: there is no message of the assistant"),
    ({"messages": [{"role": "user", "content": None}]}, "row 0: `messages` has a message whose `content` is missing"),
])  # yapf: disable
def test_bad_rows_are_named(tokenizer, sft_config, write, row, message):
    with pytest.raises(ValueError, match=message):
        SFTDataset([write("a.json", [row])], tokenizer, sft_config())


def test_tokenizer_without_eos(tokenizer, sft_config, write):
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match="row 0: the tokenizer of .* has no eos_token"):
        SFTDataset([write("a.json", [{"prompt": "a", "response": "b"}])], tokenizer, sft_config())


@pytest.fixture
def lengths_12_and_22(write):
    """The chat format takes 9 tokens, EOS one."""
    return write("a.parquet", [{"prompt": "p", "response": "ab"}, {"prompt": "p", "response": "0123456789ab"}])


def test_overlong_is_an_error_by_default(tokenizer, sft_config, lengths_12_and_22):
    assert SFTDataset([lengths_12_and_22], tokenizer, sft_config(max_length=22)).input_ids.lengths.tolist() == [12, 22]
    with pytest.raises(ValueError, match=r"a.parquet, row 1: 22 tokens are more than data.max_length=21 \(1 of 2 rows"):
        SFTDataset([lengths_12_and_22], tokenizer, sft_config(max_length=21))


@pytest.mark.parametrize("truncation, end", [("left", "[0123456789ab<|im_end|>]"), ("right", "\n[0123456]")])
def test_truncation_cuts_ids_and_mask_alike(tokenizer, sft_config, lengths_12_and_22, truncation, end):
    dataset = SFTDataset([lengths_12_and_22], tokenizer, sft_config(max_length=16, truncation=truncation))
    assert dataset.input_ids.lengths.tolist() == dataset.loss_mask.lengths.tolist() == [12, 16]
    assert parts(dataset, tokenizer, 1).endswith(end) and parts(dataset, tokenizer).endswith("[ab<|im_end|>]")


def test_samples_with_nothing_left_to_learn_are_dropped(tokenizer, sft_config, write, caplog):
    path = write("a.json", [{"prompt": "a long question", "response": "b"}, {"prompt": "a", "response": "b"}])
    with caplog.at_level(logging.WARNING):
        dataset = SFTDataset([path], tokenizer, sft_config(max_length=12, truncation="right"))
    assert len(dataset) == 1 and "dropped 1 of 2 samples" in caplog.text
    with pytest.raises(ValueError, match="none of 2 rows in .*a.json is usable"):
        SFTDataset([path], tokenizer, sft_config(max_length=4, truncation="right"))


def test_sample_and_fingerprint(tokenizer, sft_config, write):
    path = write("a.jsonl", [{"prompt": "p", "response": str(i)} for i in range(20)])
    some = [SFTDataset([path], tokenizer, sft_config(seed=seed), max_samples=6) for seed in (1, 1, 2)]
    assert [len(dataset) for dataset in some] == [6] * 3
    assert some[0].fingerprint == some[1].fingerprint != some[2].fingerprint
