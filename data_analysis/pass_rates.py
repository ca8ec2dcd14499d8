"""The share of right answers to each row, and what a dataset looks like by it."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from data_analysis.layout import RunFolder
from data_analysis.scoring import Truths, answers_of, latest_scores
from verl.utils.fs import atomic_write_text

BUCKETS = ("impossible", "very hard", "hard", "medium", "easy", "very easy", "perfect")
BOUNDS = ("0", "(0, 0.2]", "(0.2, 0.4]", "(0.4, 0.6]", "(0.6, 0.8]", "(0.8, 1)", "1")


@dataclass(frozen=True)
class PassRate:
    """pass_rate is None if no answer of the row could be scored; `refused`: requests that the model refused, and
    answers whose judge was unavailable. These count neither as right nor as wrong."""
    pass_rate: float | None
    passed: int
    answers: int
    refused: int
    data_source: str


def make_map(run: RunFolder, truths: Truths, threshold: float = 1.0) -> dict[str, PassRate]:
    """id -> pass rate of every row that was asked; an answer is right if its `acc` is at least `threshold`.

    Raises:
        ValueError: answers are not scored yet, as many as the message says.
    """
    scores = latest_scores(run)
    counts: dict[str, Counter] = defaultdict(Counter)
    unscored = 0
    for answer in answers_of(run):
        line = scores.get(answer.key)
        unscored += line is None and answer.text is not None
        if line is None or line["status"] == "unavailable":
            counts[answer.custom_id]["refused"] += 1
            continue
        counts[answer.custom_id]["answers"] += 1
        counts[answer.custom_id]["passed"] += line["acc"] >= threshold
    if unscored:
        raise ValueError(f"{run.path}: {unscored} answers have no score yet")
    return {name: _rate(count, truths[name].data_source if name in truths else "unknown")
            for name, count in sorted(counts.items())}  # yapf: disable


def _rate(count: Counter, data_source: str) -> PassRate:
    share = count["passed"] / count["answers"] if count["answers"] else None
    return PassRate(share, count["passed"], count["answers"], count["refused"], data_source)


def write_map(path: Path, run: RunFolder, rates: Mapping[str, PassRate], threshold: float) -> None:
    """Whole or not at all."""
    content = {"model": run.settings()["model"], "threshold": threshold,
               "rates": {name: asdict(rate) for name, rate in rates.items()}}  # yapf: disable
    atomic_write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


def read_map(path: Path) -> dict[str, PassRate]:
    """Raises ValueError if the file is no such map."""
    try:
        return {name: PassRate(**rate) for name, rate in json.loads(path.read_text())["rates"].items()}
    except FileNotFoundError:
        raise ValueError(f"there is no {path}; make it: python -m data_analysis map --data ...") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no map of pass rates ({error!r})") from error


def bucket(rate: float) -> int:
    """Place in BUCKETS; every rate has one."""
    if rate <= 0:
        return 0
    return 6 if rate >= 1 else next(i for i, top in enumerate((0.2, 0.4, 0.6, 0.8, 1.0), start=1) if rate <= top)


def analyse(rates: Mapping[str, PassRate]) -> dict[str, dict]:
    """By data source, and for `all`: rows, rows without a rate, mean rate, rows by bucket."""
    sources = defaultdict(list)
    for rate in rates.values():
        sources["all"].append(rate.pass_rate)
        sources[rate.data_source].append(rate.pass_rate)
    found = {}
    for source, values in sources.items():
        known = [value for value in values if value is not None]
        places = Counter(bucket(value) for value in known)
        found[source] = {"rows": len(values), "unknown": len(values) - len(known),
                         "mean": sum(known) / len(known) if known else None,
                         "buckets": {name: places[i] for i, name in enumerate(BUCKETS)}}  # yapf: disable
    return found


def report(analysis: Mapping[str, dict]) -> str:
    """As text, a block per source."""
    lines = []
    for source, found in analysis.items():
        mean = "no rate" if found["mean"] is None else f"mean pass rate {found['mean']:.3f}"
        lines.append(f"{source}: {found['rows']:,} rows, {mean}, {found['unknown']:,} unknown")
        known = max(1, found["rows"] - found["unknown"])
        lines += [f"  {name:<11} {bounds:<10} {count:>9,} {100 * count / known:5.1f} %"
                  for (name, count), bounds in zip(found["buckets"].items(), BOUNDS, strict=True)]  # yapf: disable
    return "\n".join(lines)
