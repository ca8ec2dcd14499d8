"""All datasets at once, offline, on their fixtures."""

import pytest

from data_preprocess.__main__ import main
from data_preprocess.core.scripts import all_scripts
from reward_score import doctor
from tests.support.datasets import FIXTURES
from tests.support.judge_server import JudgeServer


def run(folder, *names_and_flags):
    arguments = ["--input-dir", str(FIXTURES), "--data-dir", str(folder), "--sample-size", "12", "--num-proc", "1"]
    assert main(["run", *names_and_flags, *arguments]) == 0
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder, run(folder, "--all")


def test_two_runs_with_one_seed_are_byte_identical(made, tmp_path):
    _, files = made
    assert len(files) >= len(all_scripts())
    assert run(tmp_path, "--all") == files


def test_another_seed_gives_another_sample(made, tmp_path):
    _, files = made
    names = [
        "logic/process_zebrapuzzle_dataset", "logic/process_puzzles_dataset", "logic/process_graph_dataset",
        "general/reasoning_gym", "simulation/codeio"
    ]
    other = run(tmp_path, *names, "--seed", "43")
    assert len(other) == 10
    assert [name for name in other if other[name] == files.get(name)] == []


def test_the_doctor_finds_nothing(made, monkeypatch, tmp_path, capsys):
    folder, files = made
    with JudgeServer() as server:
        monkeypatch.setenv("STEM_LLM_JUDGE_URL", server.url)
        monkeypatch.setenv("REWARD_JUDGE_CACHE", str(tmp_path))
        status = doctor.main([*(str(folder / name) for name in files), "--workers", "2", "--probe-rows", "3"])
    assert status == 0, capsys.readouterr().out
