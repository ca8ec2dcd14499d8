import json
import math
import subprocess
import sys
import types

import numpy as np
import pytest
import torch

from verl.utils.tracking import Tracking


def track(directory, backends=("console",), **kwargs):
    return Tracking("project", "experiment", backends, directory, {"lr": 0.1}, **kwargs)


def lines(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_each_step_is_on_disk_as_soon_as_it_is_logged(tmp_path):
    tracking = track(tmp_path / "run")
    tracking.log({"a": np.float32(0.5), "n": np.int64(3), "t": torch.tensor(2.0), "note": "x"}, step=0)
    assert lines(tmp_path / "run") == [{"step": 0, "a": 0.5, "n": 3, "t": 2.0, "note": "x"}]
    tracking.log({"a": math.nan, "b": math.inf}, step=1)
    assert lines(tmp_path / "run")[1] == {"step": 1, "a": None, "b": None}
    tracking.close()


def test_resume_drops_later_steps_and_a_torn_line(tmp_path):
    tracking = track(tmp_path)
    for step in range(5):
        tracking.log({"x": step}, step)
    tracking.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "x": 9')  # killed while writing
    tracking = track(tmp_path, start_step=2)
    assert lines(tmp_path) == [{"step": s, "x": s} for s in range(3)]
    tracking.log({"x": 30}, 3)
    assert [line["x"] for line in lines(tmp_path)] == [0, 1, 2, 30]
    tracking.close()


def test_resume_keeps_a_line_that_only_lacks_its_line_break(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "note": "\u2028"}\n{"step": 2, "x": 9}', encoding="utf-8")
    tracking = track(tmp_path, start_step=2)
    tracking.log({"x": 1}, 3)
    tracking.close()
    text = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line)["step"] for line in text[:-1]] == [1, 2, 3] and text[-1] == ""


def test_fresh_run_starts_empty(tmp_path):
    tracking = track(tmp_path)
    tracking.log({"x": 1}, 0)
    tracking.close()
    track(tmp_path).close()
    assert lines(tmp_path) == []


def test_tensorboard_gets_numbers_and_skips_text(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    tracking = track(tmp_path, ["console", "tensorboard"])
    for step in (1, 2):
        tracking.log({"actor/lr": step / 10, "note": "x"}, step)
    tracking.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert events.Tags()["scalars"] == ["actor/lr"]
    assert [(event.step, event.value) for event in events.Scalars("actor/lr")] == [(1, pytest.approx(0.1)),
                                                                                   (2, pytest.approx(0.2))]


def test_unknown_backend_is_named(tmp_path):
    with pytest.raises(ValueError, match="trainer.logger has 'mlflow': choose from console, tensorboard, wandb"):
        track(tmp_path, ["mlflow"])


def test_missing_wandb_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match="pip install wandb, or take it out"):
        track(tmp_path, ["wandb"])


@pytest.fixture
def fake_wandb(monkeypatch):
    """Records calls; the service itself needs an account."""
    calls = []
    run = types.SimpleNamespace(log=lambda data, step: calls.append(("log", data, step)),
                                finish=lambda: calls.append(("finish",)))
    wandb = types.ModuleType("wandb")
    wandb.errors = types.SimpleNamespace(Error=type("Error", (Exception,), {}))
    wandb.init = lambda **kwargs: calls.append(("init", kwargs)) or run
    wandb.calls = calls
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    return wandb


def test_wandb_gets_project_config_and_steps(tmp_path, fake_wandb):
    tracking = track(tmp_path, ["wandb"])
    tracking.log({"x": 1}, 4)
    tracking.close()
    init = {"project": "project", "name": "experiment", "dir": str(tmp_path), "config": {"lr": 0.1}}
    assert fake_wandb.calls == [("init", init), ("log", {"x": 1}, 4), ("finish",)]


def test_wandb_that_does_not_start_names_the_remedies(tmp_path, fake_wandb):

    def refuse(**kwargs):
        raise fake_wandb.errors.Error("no API key")

    fake_wandb.init = refuse
    with pytest.raises(ValueError, match=r"\(no API key\).*WANDB_MODE=offline"):
        track(tmp_path, ["wandb"])


def test_generations_go_to_the_file_and_to_wandb_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the wandb extra is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    tracking = track(tmp_path, ["wandb"])
    tracking.log_generations([("q", "first", 0.0), ("r", "other", None)], 0)
    tracking.log({"x": 1}, 0)
    tracking.log_generations([("q", "second", 1.0), ("r", "third", 0.5)], 5)
    tracking.close()
    expected = {
        "columns": ["step", "input_1", "output_1", "score_1", "input_2", "output_2", "score_2"],
        "data": [[0, "q", "first", 0.0, "r", "other", None], [5, "q", "second", 1.0, "r", "third", 0.5]]
    }
    assert json.loads((tmp_path / "val_generations.table.json").read_text()) == expected
    media = tmp_path.glob("wandb/offline-run-*/files/media/table/val/generations_*.table.json")
    first, last = sorted((json.loads(path.read_text()) for path in media), key=lambda table: len(table["data"]))
    assert len(first["data"]) == 1 and {name: last[name] for name in expected} == expected


def test_module_imports_neither_torch_nor_wandb():
    code = "import sys, verl.utils.tracking; print([m for m in ('torch', 'wandb', 'ray') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
