"""Examines rows before anything is trained on them: do they route, does the truth score, can nonsense?"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from reward_score import default_compute_score
from reward_score.pool import RewardPool, RewardRequest, RewardResult
from reward_score.registry import Reward, resolve
from reward_score.rows import BLOCK, Row

THREADS = 8
BAD_ROW = (ValueError, TypeError, KeyError, AttributeError)  # what functions raise for a truth of another kind

# What scores nothing anywhere, whatever the row; each once fooled, hung or crashed a reward function somewhere.
NONSENSE = {
    "empty answer": "",
    "blank answer": " \n\t ",
    "unclosed thinking": "<think>\\boxed{1} <answer>1</answer> ```python\npass\n```",
    "huge answer": "9" * 1_000_000,
    "huge nesting": "\\boxed{" + "{" * 100_000,
    "unicode": "\u202e\U0001f600\ud7ff\u0000\u2028 ﷽ \\boxed{\u0660\u0661} <answer>\u2070</answer>",
    "tower of powers": "\\boxed{9^{9^{9^{9^9}}}} <answer>9**9**9**9</answer>",
    "code in the answer": "\\boxed{__import__('os')._exit(0)} <answer>__import__('os')._exit(0)</answer>",
    "exit(0)": "```python\nimport os, sys\nprint('ok')\nos._exit(0)\n```",
    "assert True": "```python\nassert True\n```",
    "null": "```json\nnull\n``` \\boxed{} <answer></answer>",
    "every option": "\\boxed{A, B, C, D} Answer: A or B or C or D",
}  # yapf: disable


@dataclass
class SourceReport:
    """What was found of one data_source.

    Attributes:
        rows: how many it has.
        references: how many of them hold an answer that must score full.
        probes: how many answers that must not were scored, on `probed_rows` of the rows.
        seconds: of each reference's scoring.
        problems: kind -> what is wrong, each with its file and row.
    """

    rows: int = 0
    references: int = 0
    probes: int = 0
    probed_rows: int = 0
    seconds: list[float] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, row: Row, detail: str) -> None:
        self.problems.setdefault(kind, []).append(f"{row}: {detail}")


@dataclass(frozen=True)
class _Probe:
    row: Row
    name: str
    answer: str

    @property
    def request(self) -> RewardRequest:
        return RewardRequest(self.row.data_source, self.answer, self.row.ground_truth, self.row.extra_info)


class Checkup:
    """Examines rows on a pool.

    Args:
        pool: scores answers.
        probe_rows: rows of each data_source, the first ones, that wrong answers are tried on.
    """

    def __init__(self, pool: RewardPool, probe_rows: int = 20) -> None:
        self.reports: dict[str, SourceReport] = {}
        self._pool = pool
        self._probe_rows = probe_rows

    def examine(self, rows: Iterable[Row]) -> None:
        """Adds what it finds to `reports`."""
        rows = iter(rows)
        while block := list(itertools.islice(rows, BLOCK)):
            routed = list(self._routed(block))
            references = list(self._references(routed))
            results = self._pool.score([probe.request for probe in references])
            self._judge_references(references, results)
            scored = [pair for pair in zip(references, results, strict=True) if pair[1].status == "ok"]
            self._try_repeats(scored[:THREADS * 2])
            self._try_wrong_answers(list(self._wrong_answers(routed)))

    def _routed(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Reward]]:
        for row in rows:
            report = self.reports.setdefault(row.data_source, SourceReport())
            report.rows += 1
            try:
                reward = resolve(row.data_source)
            except ValueError as error:
                report.add("does not route", row, str(error))
                continue
            missing = [name for name in reward.needs_extra_info if name not in row.extra_info]
            if missing:
                report.add("lacks extra_info", row, f"its reward reads {', '.join(missing)}")
            else:
                yield row, reward

    def _references(self, routed: Iterable[tuple[Row, Reward]]) -> Iterator[_Probe]:
        for row, reward in routed:
            if reward.reference_answer is None:
                continue
            try:
                answer = reward.reference_answer(row.ground_truth, row.extra_info)
            except BAD_ROW as error:
                self.reports[row.data_source].add("truth cannot be written as an answer", row, repr(error))
                continue
            if answer is not None:
                yield _Probe(row, "reference", answer)

    def _judge_references(self, probes: Sequence[_Probe], results: Sequence[RewardResult]) -> None:
        for probe, result in zip(probes, results, strict=True):
            report = self.reports[probe.row.data_source]
            report.references += 1
            report.seconds.append(result.seconds)
            if result.status != "ok" or result.acc < 1 or result.score <= 0:
                report.add("truth does not score full", probe.row, _describe(result))

    def _try_repeats(self, scored: Sequence[tuple[_Probe, RewardResult]]) -> None:
        """Scores again, on the pool in reverse and here from many threads; every time the same must come out."""
        probes, results = [probe for probe, _ in scored], [result for _, result in scored]
        again = reversed(self._pool.score([probe.request for probe in reversed(probes)]))
        with ThreadPoolExecutor(THREADS) as threads:
            here = list(threads.map(_score_here, probes))
        for probe, result, other, (score, acc) in zip(probes, results, again, here, strict=True):
            if not (result.score, result.acc) == (other.score, other.acc) == (score, acc):
                scores = f"scores {result.score:g} and {other.score:g} in processes, {score:g} in a thread"
                self.reports[probe.row.data_source].add("not deterministic", probe.row, scores)

    def _wrong_answers(self, routed: Iterable[tuple[Row, Reward]]) -> Iterator[_Probe]:
        for row, reward in routed:
            report = self.reports[row.data_source]
            if report.probed_rows >= self._probe_rows:
                continue
            report.probed_rows += 1
            names = ["empty answer", "unclosed thinking"] if reward.open_ended else list(NONSENSE)
            yield from (_Probe(row, name, NONSENSE[name]) for name in names)
            near_misses = _near_misses(row, reward)
            yield from (_Probe(row, f"near miss {answer[:60]!r}", answer) for answer in near_misses)
            report.probes += len(names) + len(near_misses)

    def _try_wrong_answers(self, probes: Sequence[_Probe]) -> None:
        for probe, result in zip(probes, self._pool.score([probe.request for probe in probes]), strict=True):
            report = self.reports[probe.row.data_source]
            partial = probe.name not in NONSENSE  # a near miss may earn part of the credit
            if result.acc >= 1 or result.score > (0.999 if partial else 0):
                report.add("a wrong answer scores", probe.row, f"{probe.name}: {_describe(result)}")
            elif result.status != "ok":
                report.add(_failure(probe, result), probe.row, f"{probe.name}: {result.error}")


def _near_misses(row: Row, reward: Reward) -> list[str]:
    """None for an ill truth, which `_references` has told already."""
    try:
        return reward.near_misses(row.ground_truth, row.extra_info) if reward.near_misses else []
    except BAD_ROW:
        return []


def _failure(probe: _Probe, result: RewardResult) -> str:
    """What kind of problem it is that a wrong answer could not be scored."""
    for service in resolve(probe.row.data_source).services:
        if result.status == "unavailable" or service.split()[0].strip(",") in result.error:
            return f"needs a service that does not answer: {service}"
    return f"a wrong answer ends in {result.status}"


def _score_here(probe: _Probe) -> tuple[float, float]:
    request = probe.request
    result = default_compute_score(request.data_source, request.solution_str, request.ground_truth, request.extra_info)
    return result["score"], result["acc"]


def _describe(result: RewardResult) -> str:
    return result.error or f"score {result.score:g}, acc {result.acc:g}, {result.extra}"[:300]
