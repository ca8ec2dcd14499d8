import pytest

import reward_score.coder1  # noqa: F401 -- registers what scores the code tasks
from data_preprocess.core.cli import main
from data_preprocess.core.scripts import find_script
from tests.support.datasets import FIXTURES, cards, make, score, score_truth

NAME = "math/areal"
MALFORMED = (("has no `query_id`", "boba", 8), ("an empty one", "boba", 7), ("is not JSON", "boba", 11),
             ("`query_id` unknown to", "prompts", 3), ("has no `prompt`", "prompts", 4))  # yapf: disable
BOBA = FIXTURES / NAME / "train" / "boba.jsonl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("areal")


@pytest.fixture(scope="module")
def rows(folder):
    return make(NAME, folder)["train"]["math__areal_6"]


def test_every_good_row_of_both_layouts_is_there(rows):
    assert [row["extra_info"]["id"] for row in rows] == ["b-001", "b-002", "b-003", "b-009", "7f0c", "412"]
    assert [row["reward_model"]["ground_truth"] for row in rows][1::4] == [["\\boxed{\\frac{3}{4}}", "\\boxed{0.75}"],
                                                                           ["\\boxed{7}", "\\boxed{x = 7}"]]
    assert [row["ability"] for row in rows] == ["math", "math", "stem", "logic", "math", "math"]
    assert rows[4]["extra_info"]["scores"] == [0.25, 1.0, 0.5] and rows[5]["extra_info"]["scores"] is None


def test_prompts_stay_as_they_are(rows):
    raw = rows[0]["raw_prompt"]
    assert raw.startswith("<｜User｜>\nA crate") and raw.endswith("within \\boxed{}.<｜Assistant｜><think>\n")
    assert rows[0]["prompt"] == [{"role": "user", "content": raw}]
    assert [row["apply_chat_template"] for row in rows] == [False] * 3 + [True] + [False] * 2
    assert [row["add_bos"] for row in rows] == [True] * 3 + [False] + [True] * 2
    assert rows[3]["raw_prompt"] is None and rows[3]["prompt"][0]["content"].startswith("Ada")


def test_the_truth_gets_full_marks_and_others_none(rows):
    assert [score_truth(row)["acc"] for row in rows] == [1.0] * 6
    assert score(rows[1], "so \\boxed{0.75}")["acc"] == score(rows[5], "\\boxed{7}")["acc"] == 1.0
    assert score(rows[1], "\\boxed{0.76}")["acc"] == score(rows[5], "\\boxed{-7}")["acc"] == 0.0


def test_the_card_counts_what_was_malformed(rows, folder):
    card = cards(folder)["math__areal_6"]
    assert (card["read"], card["kept"]) == (14, 6)
    reasons = {reason: count for reason, count in card["dropped"].items() if reason.startswith("malformed: ")}
    assert sum(reasons.values()) == 5 and sum(card["dropped"].values()) == 8
    for part, file, line in MALFORMED:
        reason, = (reason for reason in reasons if part in reason)
        assert card["shown"][reason][0].startswith(f"{{'file': '{file}.jsonl', 'line': {line},")
    assert card["dropped"]["task code, to be had with --task code"] == 2


def test_code_makes_a_file_of_its_own(tmp_path):
    flags = ["--task", "code", "--domain", "codegen"]
    first, second = make(NAME, tmp_path, *flags)["train"]["codegen__areal_2"]
    assert {first["data_source"], second["data_source"]} == {"codegen__areal"}
    assert score(first, "```python\nprint(int(input()) + int(input()))\n```")["acc"] == 1.0
    assert score(first, "```python\nprint(3)\n```")["acc"] == 0.0
    assert score(second, "```python\ndef double(x):\n    return x + x\n```")["acc"] == 1.0
    assert score(second, "```python\ndef double(x):\n    return 8\n```")["acc"] == 0.0


def test_a_single_file_and_a_sample_by_seed(tmp_path):
    arguments = ["--input-file", str(BOBA), "--num-proc", "1", "--train-sample-size", "2", "--data-dir"]
    assert main(str(find_script(NAME)), [*arguments, str(tmp_path)]) == 0
    card = cards(tmp_path)["math__areal_2"]
    assert (card["read"], card["kept"], card["written"]) == (10, 4, 2)


def test_a_folder_without_such_files(tmp_path, capsys):
    (tmp_path / "train").mkdir()
    assert main(str(find_script(NAME)), ["--input-dir", str(tmp_path), "--data-dir", str(tmp_path / "out")]) == 1
    assert "has no .jsonl file" in capsys.readouterr().err


def test_no_metadata_says_so(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text('{"prompt": "1+1", "query_id": "q"}\n')
    status = main(str(find_script(NAME)), ["--input-file", str(tmp_path / "a.jsonl"), "--data-dir", str(tmp_path)])
    assert status == 1 and "set REAL_MATH_METADATA_PATH" in capsys.readouterr().err
