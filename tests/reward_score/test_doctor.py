import json
import subprocess
import sys

import pandas as pd
import pytest

from reward_score import register_reward, registry
from reward_score.checkup import Checkup
from reward_score.doctor import main
from reward_score.pool import RewardPool
from reward_score.rows import Row, read_rows


def row(data_source, truth, **extra_info):
    return {
        "data_source": data_source,
        "prompt": [{
            "role": "user",
            "content": "?"
        }],
        "reward_model": {
            "style": "rule",
            "ground_truth": truth
        },
        "extra_info": extra_info
    }


@pytest.fixture
def write(tmp_path):

    def write(rows, name="rows.parquet"):
        path = tmp_path / name
        if name.endswith("parquet"):
            pd.DataFrame(rows).to_parquet(path)
        elif name.endswith("jsonl"):
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            path.write_text(json.dumps(rows))
        return str(path)

    return write


ARITHMETIC = [row("openai/gsm8k", str(n), index=n) for n in range(40)]
ALGEBRA = [row("math__dapo", truth, index=0) for truth in ("x^{2}+1", "\\frac{1}{2}", "(1,2]")]


@pytest.mark.parametrize("name", ["rows.parquet", "rows.jsonl", "rows.json"])
def test_good_rows_are_well(write, name, capsys):
    assert main([write(ARITHMETIC + ALGEBRA, name), "--workers", "2", "--probe-rows", "2"]) == 0
    lines = {line.split()[1]: line.split()[3::2] for line in capsys.readouterr().out.splitlines() if "│ " in line}
    assert lines["openai/gsm8k"][:2] == ["40", "40"]
    assert lines["math__dapo"][:2] == ["3", "3"] and lines["math__dapo"][3] == "0"


def test_every_ill_row_is_named(write, capsys):
    rows = [
        *ARITHMETIC[:3],
        row("openai/gsm8", "1"),
        row("reasoning_gym", "1", task="chain_sum"),
        row("openai/gsm8k", "n")
    ]
    file = write(rows)
    assert main([file, "--workers", "1", "--probe-rows", "1"]) == 1
    out = capsys.readouterr().out.replace("\n", " ")
    assert "openai/gsm8: does not route (1 times)" in out and f"{file} row 3: no reward scores" in out
    assert "reasoning_gym: lacks extra_info (1 times)" in out and f"{file} row 4: its reward reads entry" in out
    assert "openai/gsm8k: truth does not score full (1 times)" in out and f"{file} row 5" in out


def test_only_so_many_rows_are_shown(write, capsys):
    assert main([write([row("nowhere", "1", index=0)] * 7), "--workers", "1", "--show", "2"]) == 1
    out = capsys.readouterr().out
    assert "does not route (7 times)" in out and out.count("no reward scores") == 2


@pytest.mark.parametrize(("name", "text", "words"), [
    ("rows.csv", "a", "its name must end in"),
    ("rows.jsonl", "{}\n", "row 0: there is no data_source"),
    ("rows.jsonl", "{\n", "line 1"),
    ("rows.json", "{}", "row 0: there is no data_source"),
    ("rows.json", "[3]", "must hold a list"),
    ("rows.json", "[{", "is not JSON"),
    ("rows.jsonl", "\n[1]\n", "line 2 is not an object"),
    ("rows.jsonl", '{"data_source": "\udcff"}', "is not JSON"),
    ("rows.jsonl", '{"data_source": "m", "reward_model": {"ground_truth": "1"}, "extra_info": "x"}',
     "extra_info is not"),
    ("rows.jsonl", '{"data_source": "math", "reward_model": {}}', "row 0: there is no reward_model.ground_truth"),
])
def test_a_file_that_cannot_be_read_is_told(tmp_path, capsys, name, text, words):
    (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    assert main([str(tmp_path / name), "--workers", "1"]) == 2
    assert words in capsys.readouterr().out.replace("\n", " ")


def test_lines_are_utf8_and_may_be_blank(tmp_path):
    line = json.dumps(row("a", "ü"), ensure_ascii=False)
    (tmp_path / "rows.json").write_text(f"{line}\n \n{line}\n", encoding="utf-8")
    assert [(row.number, row.ground_truth) for row in read_rows(str(tmp_path / "rows.json"))] == [(0, "ü"), (1, "ü")]


def test_numpy_and_merged_columns_are_read_as_plain_values(write):
    rows = list(read_rows(write([row("a", ["x", "y"], index=1), row("b", ["z"], other=2)])))
    assert [row.ground_truth for row in rows] == [["x", "y"], ["z"]]
    assert [row.extra_info for row in rows] == [{"index": 1}, {"other": 2}]


LENIENT = """
def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    return {"score": float(ground_truth in solution_str or "exit" in solution_str)}
"""


@pytest.fixture
def leaky_reward(tmp_path, monkeypatch):
    """A reward that finds the truth anywhere in the answer and is fooled by one nonsense."""
    (tmp_path / "lenient.py").write_text(LENIENT)
    monkeypatch.setattr(registry, "_REWARDS", {})

    @register_reward("leaky",
                     reference_answer=lambda truth, extra_info: truth,
                     near_misses=lambda truth, extra_info: [f"not {truth}", "near"])
    def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
        return 1.0 if ground_truth in solution_str else 0.0

    with RewardPool(1, custom=(str(tmp_path / "lenient.py"), "compute_score", {})) as pool:
        yield pool


def test_a_reward_that_can_be_fooled_is_found_out(leaky_reward):
    checkup = Checkup(leaky_reward, probe_rows=1)
    checkup.examine([Row("f", 7, "leaky", "deep thought", {})])
    problems = checkup.reports["leaky"].problems
    assert set(problems) == {"a wrong answer scores"}
    assert [line.split(":")[1].strip() for line in problems["a wrong answer scores"]
           ] == ["code in the answer", "exit(0)", "near miss 'not deep thought'"]
    assert all(line.startswith("f row 7: ") for line in problems["a wrong answer scores"])


def test_a_service_that_is_missing_is_named(write, capsys, monkeypatch):
    monkeypatch.delenv("STEM_LLM_JUDGE_URL", raising=False)
    assert main([write([row("stem_web", "salt", question="?")]), "--workers", "1", "--probe-rows", "1"]) == 1
    assert "stem_web: needs a service that does not answer: STEM_LLM_JUDGE_URL" in capsys.readouterr().out


def test_as_a_command(write):
    done = subprocess.run(
        [sys.executable, "-m", "reward_score.doctor",
         write([row("nowhere", "1", index=0)]), "--workers", "1"],
        capture_output=True,
        text=True)
    assert done.returncode == 1 and "does not route" in done.stdout and done.stderr == ""
