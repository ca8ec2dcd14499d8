import subprocess
import sys

import pytest

from data_preprocess.__main__ import main
from data_preprocess.core.scripts import all_scripts, find_script, load_script
from tests.support.datasets import FIXTURES


def test_list_shows_every_dataset(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(all_scripts())


def test_every_script_has_a_fixture_or_makes_its_own():
    for name, file in all_scripts().items():
        assert (FIXTURES / name).is_dir() or load_script(file).DATASET.is_generated, name


@pytest.mark.parametrize("name", ["math/deepscaler_preview", "math__deepscaler_preview", "deepscaler_preview"])
def test_names(name):
    assert find_script(name) == all_scripts()["math/deepscaler_preview"]


def test_run_goes_on_past_a_failed_dataset_and_lists_it(tmp_path, capsys):
    raw = tmp_path / "raw" / "math" / "deepscaler_preview"
    raw.mkdir(parents=True)
    (raw / "train.jsonl").write_text('{"problem": "1+1", "answer": "2"}\n')
    broken = tmp_path / "raw" / "math" / "gsm8k"
    broken.mkdir()
    (broken / "train.jsonl").write_text('{"problem": "1+1"}\n')
    names = ["math/gsm8k", "math/deepscaler_preview"]
    status = main(["run", *names, "--input-dir", str(tmp_path / "raw"), "--data-dir", str(tmp_path / "out")])
    captured = capsys.readouterr()
    assert status == 1
    assert "1 of 2 datasets made" in captured.out
    assert captured.err.splitlines()[-1].startswith("failed: math/gsm8k: ValueError")
    assert (tmp_path / "out/train/math__deepscaler_preview_1.parquet").exists()


@pytest.mark.parametrize("arguments", [["run"], ["run", "math/nothing"], ["run", "deepscaler_preview", "--nothing"]])
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


def test_a_script_runs_alone(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"problem": "1+1", "answer": "2"}\n')
    script = all_scripts()["math/deepscaler_preview"]
    done = subprocess.run(
        [sys.executable, str(script), "--input-dir",
         str(tmp_path), "--data-dir",
         str(tmp_path / "out")],
        capture_output=True,
        text=True,
        cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 read, 1 kept, 1 written" in done.stdout
