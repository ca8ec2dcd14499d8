import json
import math

import pytest

from viewer.metrics import first_shown, phase_table, phases, read_metrics, smooth, table, thin


def test_curves_of_a_run(run_dir):
    curves = read_metrics(run_dir / "metrics.jsonl")
    assert curves["critic/score/mean"] == [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]
    assert [step for step, _ in curves["actor/entropy"]] == [1, 3, 4]  # a null is no point
    assert "note" not in curves and "step" not in curves


def test_broken_lines_and_steps_logged_twice(tmp_path):
    lines = ['{"step": 1, "a": 1, "b": 1}', "[]", "{", '{"a": 5}', '{"step": 1, "a": 2, "c": NaN, "d": true}']
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    assert read_metrics(tmp_path / "m.jsonl") == {"a": [(1, 2.0)], "b": [(1, 1.0)], "d": [(1, 1.0)]}
    assert read_metrics(tmp_path / "none.jsonl") == {}


def test_smoothing_is_debiased_and_keeps_a_constant():
    assert smooth([(1, 3.0), (2, 3.0), (5, 3.0)], 0.9) == [(1, pytest.approx(3)), (2, pytest.approx(3)),
                                                           (5, pytest.approx(3))]
    assert smooth([(0, 1.0), (1, 4.0)], 0.0) == [(0, 1.0), (1, 4.0)]
    assert smooth([(0, 0.0), (1, 3.0)], 0.5)[1] == (1, pytest.approx(2.0))  # (0·½ + 3)/(½ + 1)


def test_thinning_keeps_peaks():
    curve = [(i, 100.0 if i == 5005 else math.sin(i)) for i in range(10_000)]
    thinned = thin(curve, 100)
    assert len(thinned) <= 100 and (5005, 100.0) in thinned and thinned == sorted(thinned)
    assert thin(curve[:50], 100) == curve[:50]


def test_phases_add_up_to_the_step(run_dir):
    curves = read_metrics(run_dir / "metrics.jsonl")
    assert {name: curve[0][1] for name, curve in phases(curves).items()} == {"gen": 6, "update_actor": 3, "other": 1}
    first = phase_table(curves)[0]
    assert first == {"phase": "gen", "seconds per step": 6.0, "share": pytest.approx(0.6)}
    assert phase_table({}) == [] and phases({"timing_s/step": [(1, 2.0)]}) == {"other": [(1, 2.0)]}


def test_a_checkpoint_is_not_taken_out_of_the_next_step():
    curves = {"timing_s/step": [(2, 5.0)], "timing_s/gen": [(2, 4.0)], "timing_s/save_checkpoint": [(2, 90.0)]}
    assert phases(curves)["other"] == [(2, 1.0)]


def test_what_is_shown_first():
    assert first_shown(["zz", "val-core/x", "critic/score/mean"]) == ["critic/score/mean", "val-core/x"]
    assert first_shown(["b", "a"]) == ["a", "b"]


def test_rows_of_several_runs():
    rows = table([("one", {"m": [(1, 1.0)]}), ("two", {"m": [(1, 2.0)]}), ("none", {})], "m", 0.5)
    assert [(row["run"], row["value"], row["smoothed"]) for row in rows] == [("one", 1.0, 1.0), ("two", 2.0, 2.0)]
    assert json.dumps(rows)
