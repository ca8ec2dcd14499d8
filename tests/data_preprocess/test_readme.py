"""The example in data_preprocess/README.md, from script to training step, as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import data_preprocess
from data_preprocess.__main__ import main
from tests.support.spelling import load_script

FOLDER = Path(data_preprocess.__file__).parent
README = (FOLDER / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_table_is_that_of_list(capsys):
    assert main(["list", "--markdown"]) == 0
    assert capsys.readouterr().out in README


@pytest.fixture
def folder(tmp_path):
    script, = blocks("python")
    (tmp_path / "making_change.py").write_text(script)
    rows = [f'"How many cents are {n} dimes?",{10 * n if n else ""},dime' for n in range(9)]
    (tmp_path / "raw.csv").write_text("\n".join(["question,answer,coins", *rows]) + "\n")
    load_script("scripts/quickstart/task.py").make_model(tmp_path / "model", seed=1)
    return tmp_path


def test_the_example_runs_from_raw_rows_to_a_training_step(folder):
    environment = os.environ | {
        "PYTHONPATH": str(FOLDER.parent),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    }
    done = subprocess.run(["bash", "-euc", blocks("bash")[1]],
                          cwd=folder,
                          env=environment,
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 read, 8 kept, 8 written" in done.stdout and "dropped 1: no answer" in done.stdout
    assert "all is well" in done.stdout
    metrics = [json.loads(line) for line in (folder / "out" / "metrics.jsonl").read_text().splitlines()]
    step, = (line for line in metrics if "actor/pg_loss" in line)
    assert step["reward/math__making_change/error_rate"] == 0
