import json

import pytest

from reward_score import known_patterns
from reward_score.__main__ import main


def test_list_names_every_pattern(capsys):
    assert main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == known_patterns()


def test_explain(capsys):
    assert main(["explain", "--data-source", "reasoning_gym/countdown"]) == 0
    out = capsys.readouterr().out
    assert "reward_score.reasoning_gym.compute_score" in out
    assert "extra_info it needs: task, entry" in out


@pytest.mark.parametrize(("truth", "answer", "score"), [("42", "#### 42", 1.0), ("42", "#### 43", 0.0)])
def test_score(capsys, truth, answer, score):
    assert main(["score", "--data-source", "openai/gsm8k", "--truth", truth, "--answer", answer]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["score"], result["status"]) == (score, "ok")


def test_score_of_a_file_against_a_list(capsys, tmp_path):
    (tmp_path / "answer.txt").write_text("so \\boxed{2}")
    arguments = ["--data-source", "math", "--truth", '["1", "2"]', "--answer-file", str(tmp_path / "answer.txt")]
    assert main(["score", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["acc"] == 1.0


def test_what_cannot_be_scored_is_an_error(capsys):
    assert main(["score", "--data-source", "openai/gsm8k", "--truth", "many", "--answer", "#### 1"]) == 2
    assert json.loads(capsys.readouterr().out)["status"] == "error"
    assert main(["explain", "--data-source", "opnai/gsm8k"]) == 2
    assert "openai/gsm8k" in capsys.readouterr().err
