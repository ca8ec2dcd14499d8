import json
import logging
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing

from verl.utils.dataset.areal import is_areal, read_areal, read_lines
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.dataset.rows import read_rows
from verl.utils.dataset.sft_dataset import SFTDataset

TEXT = "<｜User｜>\n1+1? Put your answer within \\boxed{}.<｜Assistant｜><think>\n"
BOBA = {"prompt": TEXT, "task": "math", "query_id": "b1", "solutions": ["\\boxed{2}"]}
PLAIN = {"prompt": TEXT, "query_id": "q1"}
TESTS = json.dumps({"inputs": ["1\n"], "outputs": ["1\n"]})
CODE = {"prompt": TEXT, "task": "code", "query_id": "c1", "input_output": TESTS}
INFO = {"q1": {"solutions": ["\\boxed{2}", "\\boxed{2.0}"]}, "77": {"solutions": ["\\boxed{7}"]},
        "none": {"solutions": []}, "odd": ["\\boxed{1}"]}  # yapf: disable


def without(row, name):
    return {key: value for key, value in row.items() if key != name}


MALFORMED = [
    (without(BOBA, "query_id"), "has no `query_id`"),
    (BOBA | {"query_id": ""}, "has no `query_id`"),
    (BOBA | {"query_id": ["b1"]}, "has a `query_id` of type list"),
    (BOBA | {"query_id": True}, "has a `query_id` of type bool"),
    (PLAIN | {"query_id": "absent"}, r"has a `query_id` unknown to .*id2info.json"),
    (without(BOBA, "solutions"), r"has a `query_id` unknown to .*id2info.json"),
    (PLAIN | {"query_id": "none"}, "has no `solutions`, or an empty one"),
    (PLAIN | {"query_id": "odd"}, "has `solutions` that are no list of texts"),
    (BOBA | {"solutions": []}, "has no `solutions`, or an empty one"),
    (BOBA | {"solutions": ["\\boxed{2}", " "]}, "has no `solutions`, or an empty one"),
    (BOBA | {"solutions": ["\\boxed{ }"]}, "has no `solutions`, or an empty one"),
    (BOBA | {"solutions": [2]}, "has `solutions` that are no list of texts"),
    (BOBA | {"solutions": {"a": "2"}}, "has `solutions` that are no list of texts"),
    (BOBA | {"task": 3}, "has a `task` that is no text"),
    (without(BOBA, "prompt"), "has no `prompt`"),
    (BOBA | {"prompt": " \n"}, "has no `prompt`"),
    (BOBA | {"prompt": [{"role": "user"}]}, "has no `prompt`"),
    (BOBA | {"scores": ["1"]}, "has `scores` that are no list of numbers"),
    (without(CODE, "input_output"), "is a code task without `input_output`"),
    (CODE | {"input_output": "{"}, "is a code task without `input_output`"),
    (CODE | {"input_output": '{"inputs": ["1"], "outputs": []}'}, "has an `input_output` without inputs and as many"),
    ([BOBA], "is not an object"),
    ('{"prompt": "cut o', "is not JSON"),
    (b'{"prompt": "\xe4"}', "is not JSON"),
]  # yapf: disable
GOOD = [BOBA, CODE, PLAIN, PLAIN | {"query_id": 77}, BOBA | {"task": "stem", "solutions": "\\boxed{m}"},
        BOBA | {"prompt": [{"role": "user", "content": "1+1"}]}, PLAIN | {"scores": [0, 0.5]},
        BOBA | {"task": None, "level": 3}]  # yapf: disable


def encoded(row):
    if isinstance(row, bytes):
        return row
    return (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)).encode()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("REAL_MATH_METADATA_PATH", raising=False)
    (tmp_path / "id2info.json").write_text(json.dumps(INFO))
    return tmp_path


def put(folder, rows, name="a.jsonl"):
    path = folder / name
    path.write_bytes(b"".join(encoded(row) + b"\n" for row in rows))
    return path


def test_both_layouts_become_verl_rows(folder):
    first, second = read_areal(put(folder, [PLAIN | {"scores": [0, 0.5]}, BOBA]))
    assert first == {
        "data_source": "areal_math",
        "prompt": [{"role": "user", "content": TEXT}],
        "raw_prompt": TEXT,
        "apply_chat_template": False,
        "add_bos": True,
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": ["\\boxed{2}", "\\boxed{2.0}"]},
        "extra_info": {"index": 0, "id": "q1", "task": "math", "scores": [0.0, 0.5]},
    }  # yapf: disable
    assert second["data_source"] == "boba_math" and second["reward_model"]["ground_truth"] == ["\\boxed{2}"]
    assert second["extra_info"] == {"index": 1, "id": "b1", "task": "math"}


def test_the_kinds_of_good_rows(folder):
    rows = list(read_areal(put(folder, GOOD)))
    assert [row["data_source"] for row in rows] == [
        "boba_math", "codegen__boba", "areal_math", "areal_math", "boba_stem", "boba_math", "areal_math", "areal_math"
    ]
    assert rows[1]["reward_model"]["ground_truth"] == TESTS
    assert rows[3]["extra_info"]["id"] == "77" and rows[3]["reward_model"]["ground_truth"] == ["\\boxed{7}"]
    assert rows[4]["reward_model"]["ground_truth"] == ["\\boxed{m}"]
    assert rows[5]["apply_chat_template"] and "raw_prompt" not in rows[5]


@pytest.mark.parametrize("row, problem", MALFORMED)
def test_a_malformed_row_is_dropped_with_its_line(folder, caplog, row, problem):
    file = put(folder, [BOBA, row, PLAIN])
    with caplog.at_level(logging.WARNING):
        rows = read_areal(file)
    assert [row["extra_info"]["id"] for row in rows] == ["b1", "q1"]
    message, = caplog.messages
    assert message.startswith(f"{file}: dropped 1 of 3 rows: line 2 ")
    assert [line.number for line in read_lines(file) if line.row is None] == [2]
    assert re.search(f"line 2 {problem}.*: .+", message)  # what is wrong: what to do


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.one_of(st.sampled_from([("good", row) for row in GOOD]),
                          st.sampled_from([("malformed", row) for row, _ in MALFORMED]),
                          st.just(("blank", b" "))), min_size=1, max_size=40))  # yapf: disable
def test_exactly_the_good_rows_are_kept(folder, mixture):
    """Of any mixture, in order, each under its place in the file."""
    file = put(folder, [row for _, row in mixture])
    places = [kind for kind, _ in mixture if kind != "blank"]
    kept = [place for place, kind in enumerate(places) if kind == "good"]
    if not kept:
        if is_areal(file):
            with pytest.raises(ValueError, match="rows are malformed; line"):
                read_areal(file)
        return
    rows = read_areal(file)
    assert rows.row_numbers.tolist() == kept == [row["extra_info"]["index"] for row in rows]
    assert [row["extra_info"]["id"] for row in rows
           ] == [str(row["query_id"]) for kind, row in mixture if kind == "good"]


def any_field(name):
    return st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5),
                     st.lists(st.text(max_size=3), max_size=2),
                     st.sampled_from([row.get(name) for row in (BOBA, CODE, PLAIN)]))  # yapf: disable


FIELDS = ("prompt", "task", "query_id", "solutions", "input_output", "scores")


@given(st.lists(st.fixed_dictionaries({}, optional={name: any_field(name) for name in FIELDS}), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_row_is_kept_whole_or_dropped_with_a_reason(folder, rows):
    lines = list(read_lines(put(folder, rows)))
    assert [line.number for line in lines] == list(range(1, len(rows) + 1))
    for line in lines:
        assert (line.row is None) == bool(line.problem)
        if line.row is not None:
            assert line.row["extra_info"]["id"] and line.row["reward_model"]["ground_truth"]


def test_many_malformed_lines_are_all_named(folder, caplog):
    with caplog.at_level(logging.WARNING):
        read_areal(put(folder, [{"prompt": TEXT}] * 25 + [BOBA] + [{"prompt": TEXT}] * 2))
    assert "dropped 27 of 28 rows: line 1 has no `query_id`" in caplog.text
    assert caplog.text.rstrip().endswith(
        "line 20 has no `query_id`: give the row one of its own; and lines 21-25, 27-28")


def test_nothing_good_is_an_error(folder, caplog):
    with pytest.raises(ValueError, match=r"a.jsonl: all 2 rows are malformed; line 1 has no `query_id`: give"):
        read_areal(put(folder, [{"prompt": TEXT, "solutions": ["1"]}] * 2))
    assert not caplog.messages


def test_metadata_beside_the_file_or_where_the_variable_says(folder, monkeypatch, tmp_path):
    file = put(folder, [PLAIN])
    elsewhere = put(folder, [json.dumps({"q1": {"solutions": ["\\boxed{9}"]}})], "other.json")
    monkeypatch.setenv("REAL_MATH_METADATA_PATH", str(elsewhere))
    assert read_areal(file)[0]["reward_model"]["ground_truth"] == ["\\boxed{9}"]
    monkeypatch.setenv("REAL_MATH_METADATA_PATH", str(folder / "nowhere.json"))
    with pytest.raises(ValueError, match="REAL_MATH_METADATA_PATH: no file .*nowhere.json: set it"):
        read_areal(file)
    assert len(read_areal(put(folder, [BOBA]))) == 1  # which needs none


@pytest.mark.parametrize("content, message", [
    (None, "all 1 rows are malformed; line 1 has no `solutions`, and there is no .*id2info.json to find them in"),
    ("{", "id2info.json is not JSON .*download it again"),
    ("[]", "id2info.json is not an object: it must be"),
])
def test_metadata_that_cannot_be_read(folder, content, message):
    (folder / "id2info.json").unlink() if content is None else (folder / "id2info.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_areal(put(folder, [PLAIN]))


def test_a_boba_row_without_solutions_needs_no_metadata_for_the_others(folder, caplog):
    (folder / "id2info.json").unlink()
    assert len(read_areal(put(folder, [BOBA, without(BOBA, "solutions")]))) == 1
    assert "line 2 has no `solutions`, and there is no" in caplog.text


@pytest.mark.parametrize("rows", [
    [{"prompt": "x", "data_source": "math", "reward_model": {"ground_truth": "1"}, "query_id": "1", "solutions": []}],
    [{"prompt": "x"}],
    ['{"reward_model": {}}', '{"query_id": 1}'],
    ["{"],
])  # yapf: disable
def test_other_layouts_are_left_alone(folder, rows):
    assert read_areal(put(folder, rows)) is None


def test_the_trainer_reads_them_beside_verl_rows(folder, tokenizer, data_config, write, make_row):
    tokenizer_template, tokenizer.chat_template = tokenizer.chat_template, None  # ready-made prompts need none
    file = str(put(folder, [PLAIN, "cut", BOBA | {"task": "stem"}, CODE]))
    dataset = RLHFDataset([file], tokenizer, data_config())
    assert [row.prompt_ids.tolist() for row in dataset] == [tokenizer.encode(TEXT, add_special_tokens=False)] * 3
    assert dataset[0].ground_truth == ["\\boxed{2}", "\\boxed{2.0}"] and dataset[2].ground_truth == TESTS
    assert dataset[1].extra_info == {"index": 2, "id": "b1", "task": "stem"}
    tokenizer.chat_template = tokenizer_template
    both = RLHFDataset([write("b.parquet", [make_row()]), file], tokenizer, data_config())
    assert both.data_sources == {"math": 1, "areal_math": 1, "boba_stem": 1, "codegen__boba": 1}


def test_ready_made_prompts_get_the_bos_that_the_tokenizer_adds(folder, tokenizer, data_config):
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    file = str(put(folder, [BOBA, BOBA | {"prompt": f"<s>{TEXT}"}]))
    plain, marked = RLHFDataset([file], tokenizer, data_config()).prompt_ids
    assert plain[0] != tokenizer.bos_token_id == marked[0]  # this tokenizer adds none
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<s> $0", None, [("<s>", tokenizer.bos_token_id)])
    plain, marked = RLHFDataset([file], tokenizer, data_config()).prompt_ids
    assert plain.tolist() == marked.tolist() == tokenizer.encode(TEXT)


def test_json_lines_under_the_name_json(folder, tokenizer, data_config):
    assert len(RLHFDataset([str(put(folder, [BOBA], "a.json"))], tokenizer, data_config())) == 1


def test_samples_for_fine_tuning_keep_their_columns(folder, tokenizer, sft_config):
    file = str(put(folder, [{"prompt": "1+1", "response": "2", "query_id": "absent"}]))
    assert list(read_rows([file])) == [{"prompt": "1+1", "response": "2", "query_id": "absent"}]
    assert len(SFTDataset([file], tokenizer, sft_config(prompt_key="prompt", response_key="response"))) == 1
