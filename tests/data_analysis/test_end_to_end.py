"""The quick start's data and untrained model: parquet -> splits -> answers -> pass rates -> parquet for training."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_analysis.__main__ import main
from data_analysis.batch import make_answer, read_answers, read_tasks
from data_analysis.journal import Journal
from data_analysis.layout import DataFolder
from data_analysis.scoring import read_truths
from tests.data_analysis.support import run_transform
from tests.support.spelling import load_script
from verl.config.data import DataConfig
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer import load_tokenizer

ROOT = Path(__file__).parents[2]
ROWS, SPLITS, N = 7, 3, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spelling")
    task = load_script("scripts/quickstart/task.py")
    rows = [task._rl_row(problem, "train", i) for i, problem in enumerate(task._problems(ROWS, seed=1))]
    pd.DataFrame(rows).to_parquet(folder / "train.parquet")
    task.make_model(folder / "model", seed=1)
    return folder


def generate(folder):
    return main(["launch", "--local", "--rollout", "hf", "--data", str(folder / "data"), "--n", str(N), "--model",
                 str(folder / "model"), "--batch-size", "4"])  # yapf: disable


def test_from_parquet_to_filtered_parquet(folder, capsys):
    run_transform(folder / "train.parquet", folder / "data", splits=SPLITS, temperature=1.0, max_tokens=6)
    data = DataFolder(folder / "data")
    run = data.run("model")
    right = answer_first_by_hand(run, str(folder / "model"))
    assert generate(folder) == 0
    answers = {answer.key: answer for i in range(SPLITS) for answer in read_answers([run.answers(i)])}
    assert set(answers) == {task.key for i in range(SPLITS) for task in read_tasks(data.split(i), N)}
    assert sum(len(run.answers(i).read_text().splitlines()) for i in range(SPLITS)) == ROWS * N
    assert generate(folder) == 0 and "complete, 0 new answers" in capsys.readouterr().out

    rates = run.pass_rates
    assert main(["map", "--data", str(data.path), "--workers", "1"]) == 0
    found = {name: rate["pass_rate"] for name, rate in json.loads(rates.read_text())["rates"].items()}
    assert found == {task.custom_id: 1.0 if task.custom_id == right[0] else 0.5 if task.custom_id == right[1] else 0.0
                     for i in range(SPLITS) for task in read_tasks(data.split(i), 1)}  # yapf: disable
    assert main(["analyse", "--rates", str(rates)]) == 0
    assert "reasoning_gym: 7 rows, mean pass rate 0.214" in capsys.readouterr().out
    annotated, filtered = str(folder / "annotated.parquet"), str(folder / "filtered.parquet")
    assert main(["annotate", "--rates", str(rates), "--data", str(data.path), "--output", annotated]) == 0
    assert main(["filter", "--input", annotated, "--output", filtered, "--low-pass-rate", "0", "--high-pass-rate",
                 "1"]) == 0
    assert "1 of 7 rows; 5 too hard, 1 too easy" in capsys.readouterr().out

    rows = RLHFDataset([filtered], load_tokenizer(str(folder / "model")), DataConfig(max_prompt_length=40))
    assert len(rows) == 1 and rows[0].extra_info["id"] == right[1]
    before = RLHFDataset([str(folder / "train.parquet")], load_tokenizer(str(folder / "model")),
                         DataConfig(max_prompt_length=40))  # yapf: disable
    same = next(row for row in (before[i] for i in range(ROWS)) if row.ground_truth == rows[0].ground_truth)
    assert np.array_equal(same.prompt_ids, rows[0].prompt_ids)
    assert len(pd.read_parquet(filtered)) == 1


def answer_first_by_hand(run, model):
    """What an earlier job had answered before it died: two right answers to one request, one to the next."""
    run.open(model, 0)
    truths = read_truths(run)
    with Journal(run.answers(0)) as journal:
        tasks = read_tasks(run.data.split(0), N)
        for task in tasks[:3]:
            journal.append(make_answer(task, truths[task.custom_id].ground_truth, "stop", 4))
    with run.answers(0).open("ab") as file:
        file.write(b'{"custom_id": "half a li')
    return tasks[0].custom_id, tasks[2].custom_id


def test_answers_follow_the_seed_not_the_splits(folder, tmp_path):
    texts = []
    for splits in (1, 3):
        target = tmp_path / str(splits)
        run_transform(folder / "train.parquet", target, splits=splits, temperature=1.0, max_tokens=6)
        assert main(["generate", "--local", "--rollout", "hf", "--data", str(target), "--model", str(folder / "model"),
                     "--n", "2", "--seed", "5"]) == 0  # yapf: disable
        run = DataFolder(target).run("model")
        texts.append({a.key: a.text for i in range(splits) for a in read_answers([run.answers(i)])})
    assert texts[0] == texts[1] and len(set(texts[0].values())) > ROWS


def test_a_prompt_that_fills_the_context_is_refused(folder, tmp_path):
    row = pd.read_parquet(folder / "train.parquet").iloc[:1].to_dict("records")[0]
    row = row | {"prompt": [{"role": "user", "content": "x" * 300}]}
    pd.DataFrame([row]).to_parquet(tmp_path / "long.parquet")
    run_transform(tmp_path / "long.parquet", tmp_path / "data", splits=1)
    assert main(["generate", "--local", "--rollout", "hf", "--data", str(tmp_path / "data"), "--model",
                 str(folder / "model"), "--n", "1"]) == 0  # yapf: disable
    answer, = read_answers([DataFolder(tmp_path / "data").run("model").answers(0)])
    assert answer.text is None and "fill the model's context of 256" in answer.error


@pytest.mark.parametrize("command, message", [
    (["generate", "--data", "x", "--model", "m"], "say --local, or --url"),
    (["launch", "--data", "x", "--model", "m", "--n", "0"], "--n must be at least 1"),
    (["map", "--data", "x"], "say with --model whose answers; there are those of: none"),
    (["annotate", "--rates", "r", "--output", "o"], "name the dataset"),
    (["analyse", "--rates", "none.json"], "there is no none.json"),
])  # yapf: disable
def test_commands_that_cannot_work_end_with_2(capsys, command, message):
    assert main(command) == 2
    assert message in capsys.readouterr().err


def test_jobs_import_nothing_heavy():
    """64 of them start at once, perhaps from one file server."""
    code = ("import sys, data_analysis.__main__, data_analysis.server\n"
            "print(*sorted(set(sys.modules) & {'torch', 'ray', 'pyarrow', 'pandas'}))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
