"""Scores of answers by the rewards that training uses, resumed by answer."""

import itertools
from collections.abc import Iterator, Sequence

from data_analysis.batch import Answer, read_answers
from data_analysis.journal import Journal, read_journal
from data_analysis.layout import RunFolder
from data_analysis.samples import Ids, has_truth, open_dataset
from reward_score.pool import RewardPool, RewardRequest

CHUNK = 1024  # answers handed to the pool at once

Truths = dict[str, RewardRequest]  # id -> what a reward needs, without an answer


def read_truths(run: RunFolder) -> Truths:
    """Of every row of the dataset. Raises ValueError if it has none."""
    manifest = run.data.manifest()
    if not manifest.rows:
        raise ValueError(f"{run.data.path}: its dataset has no ground truths, so answers cannot be scored; split it "
                         "again with --answer-key")
    ids, truths = Ids(), {}
    for _, _, row in open_dataset(manifest.rows):
        name = ids.name(row)
        if has_truth(row):  # the others were left out of the requests, too
            extra_info = {key: value for key, value in (row.get("extra_info") or {}).items() if value is not None}
            truths[name] = RewardRequest(row["data_source"], "", row["reward_model"]["ground_truth"], extra_info)
    return truths


def score_answers(run: RunFolder, truths: Truths, workers: int | None = None, timeout: float = 30.0,
                  chunk: int = CHUNK) -> int:  # yapf: disable
    """Appends to scores.jsonl what is not there yet; -> how many. An answer whose judge was unavailable is tried again.

    Raises:
        ValueError: an answer is to a request that the dataset does not hold.
        JournalBusyError: another process is scoring.
    """
    scored = 0
    with Journal(run.scores) as journal:
        done = {key for key, line in latest_scores(run).items() if line["status"] != "unavailable"}
        missing = (answer for answer in answers_of(run) if answer.text is not None and answer.key not in done)
        first = next(missing, None)
        if first is None:
            return 0
        with RewardPool(workers, timeout,
                        data_sources=sorted({truth.data_source for truth in truths.values()})) as pool:
            for batch in _chunks(itertools.chain([first], missing), chunk):
                for answer, result in zip(batch, pool.score([_request(a, truths) for a in batch]), strict=True):
                    journal.append({"custom_id": answer.custom_id, "sample": answer.sample, "score": result.score,
                                    "acc": result.acc, "status": result.status, "error": result.error})  # yapf: disable
                scored += len(batch)
    return scored


def answers_of(run: RunFolder) -> Iterator[Answer]:
    """All answers of a run, each once."""
    return read_answers(run.answers(i) for i in range(run.data.manifest().splits))


def latest_scores(run: RunFolder) -> dict[tuple[str, int], dict]:
    """The last line about each answer."""
    return {(line["custom_id"], line["sample"]): line for line in read_journal(run.scores)}


def _request(answer: Answer, truths: Truths) -> RewardRequest:
    truth = truths.get(answer.custom_id)
    if truth is None:
        raise ValueError(f"{answer.custom_id}: there are answers, but the dataset has no such row; it changed since it "
                         "was split")
    return RewardRequest(truth.data_source, answer.text, truth.ground_truth, truth.extra_info)


def _chunks(answers: Iterator[Answer], size: int) -> Iterator[Sequence[Answer]]:
    while chunk := list(itertools.islice(answers, size)):
        yield chunk
