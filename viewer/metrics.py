"""Curves of a run: metrics.jsonl as columns, smoothed and thinned for a chart; seconds per phase."""
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

POINTS = 1000  # of a curve on the screen
PHASE = "timing_s/"
WHOLE_STEP = PHASE + "step"
# Shown first, where a run has them: a prefix each.
FIRST = ("critic/score/mean", "critic/rewards/mean", "val-core/", "val/loss", "train/loss", "response_length/mean",
         "response_length/clip_ratio", "actor/entropy", "actor/pg_loss", "actor/kl_loss", "actor/grad_norm",
         "perf/throughput", WHOLE_STEP)  # yapf: disable
MOST_FIRST = 8
Curve = list[tuple[int, float]]  # step, value


def read_metrics(path: Path) -> dict[str, Curve]:
    """Curves by metric name. Lines that a kill tore and values that are no finite numbers are left out; of a step that
    was logged twice the last line counts, metric by metric."""
    values: dict[str, dict[int, float]] = {}
    for line in _lines(path):
        step = line.get("step")
        if not isinstance(step, int):
            continue
        for name, value in line.items():
            if name != "step" and isinstance(value, (int, float)) and math.isfinite(value):
                values.setdefault(name, {})[step] = float(value)
    return {name: sorted(values[name].items()) for name in sorted(values)}


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for line in file:
            try:
                values = json.loads(line)
            except ValueError:
                continue
            if isinstance(values, dict):
                yield values


def smooth(curve: Curve, weight: float) -> Curve:
    """Exponential moving average; `weight` in [0, 1) is that of the past. Debiased, so that the first value counts
    fully at the start (as in Adam, arXiv:1412.6980)."""
    assert 0 <= weight < 1
    shown, average, norm = [], 0.0, 0.0
    for step, value in curve:
        average = weight * average + (1 - weight) * value
        norm = weight * norm + (1 - weight)
        shown.append((step, average / norm))
    return shown


def thin(curve: Curve, points: int = POINTS) -> Curve:
    """At most `points` of a curve: of each of equally long parts the lowest and the highest, so that peaks stay."""
    if len(curve) <= points:
        return curve
    parts = max(1, points // 2)
    kept: list[tuple[int, float]] = []
    for i in range(parts):
        part = curve[i * len(curve) // parts:(i + 1) * len(curve) // parts]
        ends = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        kept.extend(sorted(ends))
    return kept


def first_shown(names: Iterable[str]) -> list[str]:
    """What to show before anything is chosen: one metric per prefix of FIRST, else the first ones."""
    names = sorted(names)
    found = [next((name for name in names if name.startswith(prefix)), None) for prefix in FIRST]
    return [name for name in found if name][:MOST_FIRST] or names[:MOST_FIRST]


def phases(curves: dict[str, Curve]) -> dict[str, Curve]:
    """Seconds of each phase by step, and as `other` what the step took besides. `step` itself is left out."""
    found = {name.removeprefix(PHASE): curve for name, curve in curves.items()
             if name.startswith(PHASE) and name != WHOLE_STEP}  # yapf: disable
    if WHOLE_STEP not in curves:
        return found
    known: dict[int, float] = {}
    for name, curve in found.items():
        if name == "save_checkpoint":  # of the step before, outside of its time
            continue
        for step, seconds in curve:
            known[step] = known.get(step, 0.0) + seconds
    rest = [(step, max(0.0, seconds - known.get(step, 0.0))) for step, seconds in curves[WHOLE_STEP]]
    return found | {"other": rest}


def phase_table(curves: dict[str, Curve]) -> list[dict[str, Any]]:
    """Mean seconds and share of each phase over all steps, longest first."""
    totals = {name: sum(seconds for _, seconds in curve) for name, curve in phases(curves).items()}
    whole = sum(totals.values()) or 1.0
    steps = max((len(curve) for curve in phases(curves).values()), default=1)
    rows = [{
        "phase": name,
        "seconds per step": total / steps,
        "share": total / whole
    } for name, total in totals.items()]
    return sorted(rows, key=lambda row: -row["share"])


def table(runs: Sequence[tuple[str, dict[str, Curve]]], name: str, weight: float = 0.0) -> list[dict[str, Any]]:
    """Rows (run, step, value, smoothed) of one metric of several runs, for a chart."""
    rows = []
    for run, curves in runs:
        curve = curves.get(name, [])
        smoothed = dict(smooth(curve, weight))
        rows += [{"run": run, "step": step, "value": value, "smoothed": smoothed[step]} for step, value in thin(curve)]
    return rows
