import json

import pytest

import reward_score.codeio
import reward_score.cruxeval  # noqa: F401 -- both register what they score
from tests.support.datasets import FIXTURES, cards, make, score, score_truth

CODEIO = "simulation/codeio"


def rows_of(made, split):
    return [row for rows in made[split].values() for row in rows]


def test_codeio_trains_on_most_and_tests_on_a_tenth(tmp_path):
    made = make(CODEIO, tmp_path)
    read = {name: card["read"] for name, card in cards(tmp_path).items()}
    assert sorted(read.values()) == [2, 23]  # of 25
    dropped = [card["dropped"] for card in cards(tmp_path).values()]
    assert {"no input and output": 1, "duplicate prompt (exact)": 1} in dropped
    rows = rows_of(made, "train") + rows_of(made, "test")
    assert all(score_truth(row)["score"] == 1 for row in rows)
    assert all(row["ability"] == "coding-inference" for row in rows)


def test_codeio_asks_for_one_form_and_reads_it(tmp_path):
    rows = rows_of(make(CODEIO, tmp_path), "train")
    for row in rows:
        prompt, key = row["prompt"][0]["content"], row["extra_info"]["predict"]
        assert f'```json block that holds an object with the single key "{key}"' in prompt
        assert "boxed" not in prompt
        truth = json.loads(f"{{{row['reward_model']['ground_truth']}}}")
        assert list(truth) == [key]
        assert score(row, f"```json\n{json.dumps(truth)}\n```")["score"] == 1
        assert score(row, f"```json\n{json.dumps({key: 'else'})}\n```")["score"] == 0
        given = {"input": "The code returned this output:", "output": "The code gets this input:"}[key]
        assert given in prompt and json.dumps(truth[key], ensure_ascii=False) not in prompt.partition(given)[2]


def test_codeio_chooses_by_seed_and_text_alone(tmp_path):

    def asked(folder, *flags):
        made = make(CODEIO, tmp_path / folder, *flags, fixture=False)
        rows = rows_of(made, "train") + rows_of(made, "test")
        return {row["extra_info"]["predict"] + row["prompt"][0]["content"] for row in rows}

    fixture, backwards = FIXTURES / CODEIO / "train.jsonl", tmp_path / "train.jsonl"
    backwards.write_text("".join(reversed(fixture.read_text().splitlines(keepends=True))))
    first = asked("a", "--input-file", str(fixture))
    assert 5 <= sum(prompt.startswith("input") for prompt in first) <= 18  # of 23
    assert asked("b", "--input-file", str(backwards), "--seed", "42") == first
    assert asked("c", "--input-file", str(fixture), "--seed", "43") != first


def test_cruxeval_o(tmp_path):
    rows = rows_of(make("simulation/cruxeval-o", tmp_path), "test")
    assert cards(tmp_path)["simulation__cruxeval-o_3"]["dropped"] == {
        "input or output is no literal": 1, "reference solution fails its own tests": 1, "duplicate prompt (exact)": 1
    }  # yapf: disable
    assert all(score_truth(row)["score"] == 1 for row in rows)
    assert "assert f([3, 1, 2]) == ??" in rows[0]["prompt"][0]["content"]
    assert "one ```python block" in rows[0]["prompt"][0]["content"]
    assert score(rows[0], "```python\nassert f([2, 3]) == [3]\n```")["score"] == 0
    assert score(rows[0], "```python\nassert f([3, 1, 2]) == [2, 3]\n```")["score"] == 1


@pytest.mark.parametrize(("number", "answer", "right"), [
    (0, "assert f([2, 3, 1]) == [2, 3]", 1), (0, "assert f([3, 2]) == [2, 3]", 0), (0, "assert f([9]) == []", 0),
    (1, "assert f('ab', n=3) == {'ab': 3, 'é': (3,)}", 1), (3, "assert f(4) == 5", 1), (3, "assert True", 0),
])  # yapf: disable
def test_cruxeval_i(tmp_path, number, answer, right):
    rows = rows_of(make("simulation/cruxeval-i", tmp_path), "test")
    assert len(rows) == 4
    assert "assert f(??) == [2, 3]" in rows[0]["prompt"][0]["content"]
    assert "one ```python block" in rows[0]["prompt"][0]["content"]
    assert score(rows[number], f"```python\n{answer}\n```")["score"] == right
