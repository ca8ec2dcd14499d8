import pytest

from tests.support.datasets import cards, make, score, score_truth

DUPLICATE = "duplicate prompt (exact)"
UNREADABLE = "ground truth that the reward cannot read"
EXPECTED = {
    "ifeval": {
        "ood__ifeval_5": {UNREADABLE: 2, DUPLICATE: 1},
    },
    "ifbench": {
        "ood__ifbench_4": {UNREADABLE: 1, "no ground truth": 1, "no user message at the end": 1, DUPLICATE: 1},
    },
    "livebench": {
        "ood__livebench_reasoning_3": {
            "released before 2024-06-01 or after 2024-07-31": 1, UNREADABLE: 1, DUPLICATE: 1},
        "ood__livebench_data_analysis_3": {"several turns": 1},
        "ood__livebench_language_3": {"no ground truth": 1},
    },
}  # yapf: disable


@pytest.mark.parametrize("name", EXPECTED)
def test_from_fixture_to_full_marks(name, tmp_path):
    made = make(f"ood/{name}", tmp_path)
    assert not made["train"] and set(made["test"]) == set(EXPECTED[name])
    for file, rows in made["test"].items():
        assert cards(tmp_path)[file]["dropped"] == EXPECTED[name][file]
        for row in rows:
            assert row["data_source"] == f"ood__{name}"
            assert score_truth(row)["score"] == 1
            assert score(row, "")["score"] == 0


def test_answers_written_by_hand(tmp_path):
    ifeval = make("ood/ifeval", tmp_path)["test"]["ood__ifeval_5"]
    assert score(ifeval[0], "Rain falls and fields drink.")["score"] == 1
    assert score(ifeval[0], "Rain falls, fields drink.")["score"] == 0
    assert score(ifeval[1], "An arch stands.\n***\nThe river flows.")["score"] == 1
    assert score(ifeval[3], "Warm fällt der Wind. Das war’s.")["score"] == 1
    ifbench = make("ood/ifbench", tmp_path)["test"]["ood__ifbench_4"]
    assert score(ifbench[2], "Add a pinch of it.")["score"] == 1
    assert score(ifbench[2], "A pinch and a pinch.")["score"] == 0
    livebench = make("ood/livebench", tmp_path)["test"]
    assert score(livebench["ood__livebench_reasoning_3"][0], "So it is **yes, no, yes**.")["score"] == 1
    assert score(livebench["ood__livebench_data_analysis_3"][0], "year")["score"] == 0


def test_ifeval_rows_name_all_arguments_and_few_have_values(tmp_path):
    rows = make("ood/ifeval", tmp_path)["test"]["ood__ifeval_5"]
    assert all(len(arguments) == 24 for row in rows for arguments in row["reward_model"]["ground_truth"])
    truth = rows[1]["reward_model"]["ground_truth"]
    assert {name: value for name, value in truth[1].items() if value is not None} == {"keywords": ["arch", "river"]}
    assert rows[1]["extra_info"]["instruction_id_list"] == [
        "length_constraints:number_paragraphs", "keywords:existence"]  # yapf: disable


def test_ifbench_has_extra_info(tmp_path):
    rows = make("ood/ifbench", tmp_path)["test"]["ood__ifbench_4"]
    assert [row["extra_info"]["key"] for row in rows] == ["f1", "f2", "f3", "f4"]
    assert all(isinstance(row["reward_model"]["ground_truth"], str) for row in rows)


def test_livebench_names_task_and_date(tmp_path):
    rows = make("ood/livebench", tmp_path)["test"]["ood__livebench_reasoning_3"]
    assert [row["extra_info"]["task"] for row in rows] == ["web_of_lies_v2", "zebra_puzzle", "spatial"]
    assert rows[2]["extra_info"]["date"] == "2024-07-26"
    assert rows[0]["extra_info"]["prompt"] == [rows[0]["prompt"][0]["content"]]
