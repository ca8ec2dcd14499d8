import json

import pytest

from data_preprocess.core.cli import main
from data_preprocess.core.scripts import find_script
from tests.support.datasets import cards, make, score, score_truth

EXPECTED = {
    "hitab": (4, 1, {
        "no answer": 1,
        "duplicate prompt (exact)": 1
    }),
    "multihier": (3, 1, {
        "needs the report's text": 1,
        "no answer": 1,
        "duplicate prompt (exact)": 1
    }),
    "finqa": (0, 5, {
        "answer is no number": 2,
        "duplicate prompt (exact)": 1
    }),
}


def rows_of(made, split):
    return [row for rows in made[split].values() for row in rows]


@pytest.mark.parametrize("name", EXPECTED)
def test_from_fixture_to_full_marks(name, tmp_path):
    train, test, dropped = EXPECTED[name]
    made = make(f"table/{name}", tmp_path)
    rows = rows_of(made, "train") + rows_of(made, "test")
    assert (len(rows_of(made, "train")), len(rows_of(made, "test"))) == (train, test)
    assert cards(tmp_path)[f"table__{name}_{train or test}"]["dropped"] == dropped
    for row in rows:
        assert row["data_source"] == f"table__{name}"
        assert "in \\boxed{}" in row["prompt"][0]["content"]
        assert row["extra_info"]["split"] in ("train", "test") and row["extra_info"]["id"]
        assert score_truth(row)["score"] == 1
        assert score(row, "\\boxed{none of these}")["score"] == 0


def test_hitab_joins_tables_and_answers(tmp_path):
    rows = rows_of(make("table/hitab", tmp_path), "train")
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["12", "south|islands", "0.213115", "1250"]
    prompt = rows[0]["prompt"][0]["content"]
    assert '"bakeries by region"' in prompt and "| north | 12 | 13 |" in prompt
    assert "cups \\| mugs" in rows[3]["prompt"][0]["content"]
    assert score(rows[1], "\\boxed{islands | south}")["score"] == 1
    assert score(rows[1], "\\boxed{south}")["score"] == 0
    assert rows[2]["extra_info"]["aggregation"] == "div"


def test_hitab_without_its_tables_says_what_to_do(tmp_path, capsys):
    (tmp_path / "train_samples.jsonl").write_text(json.dumps({"table_id": "3"}) + "\n")
    assert main(str(find_script("table/hitab")), ["--input-dir", str(tmp_path), "--data-dir", str(tmp_path / "o")]) == 1
    assert "unzip tables.zip" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "message"), [("hitab", "git clone"), ("multihier", "drive.google.com")])
def test_what_is_not_on_the_hub_says_where_it_is(name, message, tmp_path, capsys):
    assert main(str(find_script(f"table/{name}")), ["--data-dir", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err


def test_multihier_shows_every_table(tmp_path):
    one, two, span = rows_of(make("table/multihier", tmp_path), "train")
    assert "this table" in one["prompt"][0]["content"] and "these tables" in two["prompt"][0]["content"]
    assert "|  | Revenue & cost ($ in millions) |  |" in one["prompt"][0]["content"]
    assert "| East | 7 |" in two["prompt"][0]["content"]
    assert one["reward_model"]["ground_truth"] == "220.5" and span["extra_info"]["question_type"] == "span_selection"


def test_finqa_numbers_and_percentages(tmp_path):
    rows = rows_of(make("table/finqa", tmp_path), "test")
    truths = [row["reward_model"]["ground_truth"] for row in rows]
    assert truths == [0.25, 1250.0, -3.0, 1.25, -0.1446]
    assert [score(rows[0], f"\\boxed{{{text}}}")["score"] for text in ("25\\%", "0.25", "25")] == [1, 1, 0]
    assert "| net sales | $ 1,250 | $ 1,000 |" in rows[0]["prompt"][0]["content"]
