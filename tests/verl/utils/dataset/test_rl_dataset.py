import logging

import numpy as np
import pytest

from verl.utils.dataset.rl_dataset import RLHFDataset


def test_prompts_are_rendered_and_tokenised(tokenizer, data_config, write, make_row):
    rows = [make_row(i, prompt=f"add {i}", ground_truth=str(i)) for i in range(5)]
    dataset = RLHFDataset([write("a.parquet", rows)], tokenizer, data_config())
    assert len(dataset) == 5 and dataset.prompt_ids.values.dtype == np.int32
    row = dataset[3]
    assert row.prompt_text == "<|im_start|>user\nadd 3<|im_end|>\n<|im_start|>assistant\n"
    assert row.prompt_ids.tolist() == tokenizer.encode(row.prompt_text, add_special_tokens=False)
    assert (row.index, row.data_source, row.ground_truth) == (3, "math", "3")
    assert row.reward_model == {
        "style": "rule",
        "ground_truth": "3"
    } and row.extra_info == {
        "index": 3,
        "split": "train"
    }
    assert [item.index for item in dataset] == list(range(5))


def test_template_arguments_and_string_prompts(tokenizer, data_config, write, make_row):
    config = data_config(apply_chat_template_kwargs={"opening": "<think>"})
    dataset = RLHFDataset([write("a.json", [make_row() | {"prompt": "hi"}])], tokenizer, config)
    assert dataset[0].prompt_text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>"


def test_raw_prompts_are_taken_as_they_are(tokenizer, data_config, write, make_row):
    tokenizer.chat_template = None  # and none is needed then
    rows = [make_row() | {"apply_chat_template": False, "raw_prompt": "q: 1\na:"},
            make_row() | {"apply_chat_template": False, "prompt": "q: 2\na:", "raw_prompt": None}]  # yapf: disable
    dataset = RLHFDataset([write("a.json", rows)], tokenizer, data_config())
    assert [row.prompt_text for row in dataset] == ["q: 1\na:", "q: 2\na:"]


def test_raw_prompts_beside_messages_of_another_file(tokenizer, data_config, write, make_row):
    raw = {k: v for k, v in make_row(data_source="raw").items() if k not in ("prompt", "extra_info")}
    files = [write("a.parquet", [make_row(prompt="hi")] * 2),
             write("b.parquet", [raw | {"apply_chat_template": False, "raw_prompt": "as is"}])]  # yapf: disable
    dataset = RLHFDataset(files, tokenizer, data_config())
    assert dataset[2].prompt_text == "as is" and dataset[2].extra_info == {}
    assert dataset.data_sources == {"math": 2, "raw": 1}


def test_keys_that_parquet_fills_with_none_do_not_reach_the_template(tokenizer, data_config, write, make_row):
    rows = [make_row(), make_row()]
    rows[0]["prompt"] = [{"role": "user", "content": "a", "tool_calls": None}]
    rows[1]["prompt"] = [{"role": "user", "content": "b", "tool_calls": "x"}]
    dataset = RLHFDataset([write("a.parquet", rows)], tokenizer, data_config())
    assert "a<|im_end|>" in dataset[0].prompt_text and "b calls<|im_end|>" in dataset[1].prompt_text


def test_other_keys_for_prompt_and_source(tokenizer, data_config, write, make_row):
    row = make_row()
    row = {"question": row.pop("prompt"), "source": row.pop("data_source"), **row}
    config = data_config(prompt_key="question", reward_fn_key="source")
    assert RLHFDataset([write("a.parquet", [row])], tokenizer, config)[0].data_source == "math"


def without(row, key):
    return {k: v for k, v in row.items() if k != key}


@pytest.mark.parametrize("change, message", [
    (lambda row: without(row, "prompt") | {"question": "x"},
     "row 0: `prompt` is missing, the file has data_source, reward_model, extra_info, question: .*data.prompt_key"),
    (lambda row: row | {"prompt": None}, "row 0: `prompt` is missing"),
    (lambda row: row | {"prompt": 3}, r"row 0: `prompt` is of type int, not a list of \{role, content\} nor a string"),
    (lambda row: row | {"prompt": []}, "row 0: `prompt` is an empty list"),
    (lambda row: row | {"prompt": ["hi"]}, r"row 0: `prompt` holds a value of type str where a message"),
    (lambda row: row | {"prompt": [{"role": "user"}]}, "row 0: `prompt` has a message whose `content` is missing"),
    (lambda row: row | {"prompt": [{"role": "user", "content": [{"type": "image"}]}]},
     "row 0: `prompt` has a message whose `content` is of type list, not text"),
    (lambda row: row | {"prompt": [{"role": "tool", "content": "x"}]}, "row 0: the chat template refuses .*no tools"),
    (lambda row: without(row, "data_source"), "row 0: `data_source` is missing.*data.reward_fn_key"),
    (lambda row: row | {"data_source": ""}, "row 0: `data_source` is missing"),
    (lambda row: without(row, "reward_model"), "row 0: `reward_model.ground_truth` is missing"),
    (lambda row: row | {"reward_model": {"style": "rule"}}, "row 0: `reward_model.ground_truth` is missing"),
    (lambda row: row | {"apply_chat_template": False}, "row 0: `apply_chat_template` is false, but neither"),
    (lambda row: row | {"apply_chat_template": False, "raw_prompt": ""}, "row 0: `apply_chat_template` is false, but"),
])  # yapf: disable
@pytest.mark.parametrize("name", ["bad.json", "bad.jsonl"])
def test_bad_rows_are_named(tokenizer, data_config, write, make_row, change, message, name):
    good = write("good.parquet", [make_row()] * 3)
    with pytest.raises(ValueError, match=message) as caught:
        RLHFDataset([good, write(name, [change(make_row())])], tokenizer, data_config())
    assert f"/{name}, row 0" in str(caught.value) and "\n" not in str(caught.value)


def test_parquet_without_prompt(tokenizer, data_config, write, make_row):
    with pytest.raises(ValueError,
                       match="a.parquet, row 0: `prompt` is missing, the file has data_source, reward_model"):
        RLHFDataset([write("a.parquet", [without(make_row(), "prompt")])], tokenizer, data_config())


def test_bad_row_in_the_middle_keeps_its_number_in_a_sample(tokenizer, data_config, write, make_row):
    rows = [make_row() for _ in range(10)]
    rows[7]["reward_model"] = {"style": "rule", "ground_truth": None}
    path = write("a.parquet", rows)
    with pytest.raises(ValueError, match="a.parquet, row 7: "):
        RLHFDataset([path], tokenizer, data_config(), max_samples=9)  # by this seed row 7 is drawn
    assert len(RLHFDataset([path], tokenizer, data_config(shuffle=False), max_samples=7)) == 7


def test_missing_chat_template_names_the_row_that_needs_it(tokenizer, data_config, write, make_row):
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="a.parquet, row 0: the tokenizer .* has no `chat_template`"):
        RLHFDataset([write("a.parquet", [make_row()])], tokenizer, data_config())


@pytest.fixture
def long_and_short(write, make_row):
    """Two files; with the 8 tokens of the chat format the lengths are 9, 28, 9 and 18, 9."""
    return [write("a.parquet", [make_row(0, "x"), make_row(1, "0123456789abcdefghij"), make_row(2, "z")]),
            write("b.parquet", [make_row(3, "0123456789"), make_row(4, "y")])]  # yapf: disable


def test_overlong_is_an_error_by_default(tokenizer, data_config, long_and_short):
    assert RLHFDataset(long_and_short, tokenizer,
                       data_config(max_prompt_length=28)).prompt_ids.lengths.tolist() == [9, 28, 9, 18, 9]
    with pytest.raises(ValueError,
                       match=r"a.parquet, row 1: 28 tokens are more than data.max_prompt_length=10 "
                       r"\(2 of 5 rows, the longest 28\)"):
        RLHFDataset(long_and_short, tokenizer, data_config(max_prompt_length=10))


def test_overlong_prompts_are_dropped_and_counted_by_file(tokenizer, data_config, long_and_short, caplog):
    config = data_config(max_prompt_length=10, filter_overlong_prompts=True)
    with caplog.at_level(logging.WARNING):
        dataset = RLHFDataset(long_and_short, tokenizer, config)
    assert [row.extra_info["index"] for row in dataset] == [0, 2, 4]
    assert [tokenizer.decode(row.prompt_ids[3:4]) for row in dataset] == ["x", "z", "y"]
    assert dataset.prompt_ids.lengths.tolist() == [9, 9, 9]
    assert dataset.data_sources == {"math": 3}
    assert [record.getMessage().rsplit("/", 1)[1] for record in caplog.records] == [
        "a.parquet: dropped 1 of 3 prompts longer than data.max_prompt_length=10 tokens",
        "b.parquet: dropped 1 of 2 prompts longer than data.max_prompt_length=10 tokens"
    ]


@pytest.mark.parametrize("truncation, kept", [("left", slice(-11, None)), ("right", slice(0, 11))])
def test_truncation_cuts_one_end(tokenizer, data_config, long_and_short, truncation, kept):
    whole = RLHFDataset(long_and_short, tokenizer, data_config())
    cut = RLHFDataset(long_and_short, tokenizer, data_config(max_prompt_length=11, truncation=truncation))
    for before, after in zip(whole, cut, strict=True):
        assert after.prompt_ids.tolist() == before.prompt_ids[kept].tolist()
    assert cut[1].prompt_text == tokenizer.decode(cut[1].prompt_ids) != whole[1].prompt_text


def test_truncation_in_the_middle_keeps_both_ends(tokenizer, data_config, long_and_short):
    whole = RLHFDataset(long_and_short, tokenizer, data_config())[1].prompt_ids.tolist()
    cut = RLHFDataset(long_and_short, tokenizer, data_config(max_prompt_length=11, truncation="middle"))
    assert cut[1].prompt_ids.tolist() == whole[:5] + whole[-6:]


def test_no_usable_row(tokenizer, data_config, long_and_short, write):
    with pytest.raises(ValueError,
                       match="data.val_files: none of 5 rows in .*b.parquet is usable: .*max_prompt_length=3"):
        RLHFDataset(long_and_short, tokenizer, data_config(max_prompt_length=3, filter_overlong_prompts=True),
                    files_key="data.val_files")  # yapf: disable
    with pytest.raises(ValueError, match="data.train_files: none of 0 rows"):
        RLHFDataset([write("empty.json", [])], tokenizer, data_config())


def test_fingerprint_is_of_the_content(tokenizer, data_config, write, make_row):
    rows = [make_row(i, prompt=f"add {i}", ground_truth=str(i)) for i in range(5)]

    def fingerprint(rows, name="a.parquet", **config):
        return RLHFDataset([write(name, rows)], tokenizer, data_config(**config)).fingerprint

    first = fingerprint(rows)
    assert first == fingerprint(rows, "b.jsonl") == fingerprint(rows, "c.parquet",
                                                                max_prompt_length=99) and len(first) == 64
    others = [
        fingerprint(rows[::-1]),
        fingerprint(rows[:4]),
        fingerprint(rows[:4] + [make_row(4, prompt="add 4", ground_truth="5")]),
        fingerprint(rows[:4] + [make_row(4, prompt="add 5", ground_truth="4")]),
        fingerprint(rows[:4] + [make_row(4, prompt="add 4", ground_truth="4", data_source="other")]),
        fingerprint(rows, max_prompt_length=12, truncation="left"),
    ]
    assert len({first, *others}) == 7


def test_fingerprint_sees_where_a_prompt_ends(tokenizer, data_config, write, make_row):

    def fingerprint(*prompts):
        rows = [make_row() | {"apply_chat_template": False, "prompt": prompt} for prompt in prompts]
        return RLHFDataset([write("a.json", rows)], tokenizer, data_config()).fingerprint

    assert fingerprint("ab", "c") != fingerprint("a", "bc")
