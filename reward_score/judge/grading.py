"""From a response to a judged score; the part that the stem and math judges share."""

import time
from collections.abc import Callable, Mapping, Sequence

from reward_score.extraction import after_thinking, last_boxed
from reward_score.judge.prompt import MAX_ANSWER, PROMPT_VERSION, clean_answer, digest, judge_prompt, read_verdict
from reward_score.judge.settings import JudgeService, JudgeSettings, judge_settings
from reward_score.judge.verdict_cache import read_cached, write_cached
from reward_score.result import RewardUnavailable

ASKS = 2  # a judge whose last line is no verdict is asked once more
ANSWER_FORMAT = r"The answer in the last \boxed{}, after any thinking."

Same = Callable[[str, str], bool]


def grade(service: JudgeService, same: Same, data_source: str, solution_str: str, ground_truth: object,
          extra_info: Mapping[str, object] | None, options: Mapping[str, object]) -> dict[str, object]:
    r"""1.0 if the last `\boxed{}` says the same as the reference (or one of a list of them); else 0.0.

    Without asking: 0 where there is no such answer or it is longer than `MAX_ANSWER`, 1 where `same(truth, answer)`.
    Extra keys: `pred`, and `judged`, whether the judge (or its cached verdict) decided.

    Args:
        options: `judge_*` overrides of `JudgeSettings`; other keys are ignored.

    Raises:
        ValueError: the row has no reference or no question, or no judge is configured.
        RewardUnavailable: the judge does not answer, or twice not with a verdict: neither is the student's fault.
    """
    start = time.monotonic()
    truths = references(ground_truth, data_source)
    question = _question(extra_info, data_source)
    pred = last_boxed(after_thinking(solution_str) or "") or ""
    short = len(pred) <= MAX_ANSWER
    if pred in truths or short and any(same(truth, pred) for truth in truths):
        return _result(True, pred, judged=False)
    answer = clean_answer(pred) if short else ""
    if not answer:
        return _result(False, pred, judged=False)
    settings = judge_settings(service, options)
    deadline = start + settings.budget
    return _result(any(_verdict(settings, question, truth, answer, deadline) for truth in truths), pred, judged=True)


def references(ground_truth: object, data_source: str) -> list[str]:
    """The reference answers as texts, taken out of their boxes.

    Raises:
        ValueError: there is none.
    """
    if hasattr(ground_truth, "tolist"):  # a NumPy array or scalar from parquet
        ground_truth = ground_truth.tolist()
    several = isinstance(ground_truth, Sequence) and not isinstance(ground_truth, str | bytes)
    truths = [_truth(truth) for truth in (ground_truth if several else [ground_truth])]
    if not truths or not all(truths):
        raise ValueError(f"ground_truth of {data_source!r} must be the reference answer as text, got {ground_truth!r}")
    return truths


def boxed_reference(ground_truth: object, extra_info: dict) -> str | None:
    """The reference in the asked format; None where its braces do not pair up, so that no box can hold it."""
    truth = references(ground_truth, "?")[0]
    response = rf"\boxed{{{truth}}}"
    return response if last_boxed(response) == truth else None


def unboxed_near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    """The truth where no answer is looked for; which other answers are wrong only the judge knows."""
    if boxed_reference(ground_truth, extra_info) is None:
        return [""]
    truth = references(ground_truth, "?")[0]
    return [
        "", r"\boxed{}", truth, rf"<think>\boxed{{{truth}}}", rf"\boxed{{{truth}", rf"\boxed{{{truth}}} or \boxed{{"
    ]


def _verdict(settings: JudgeSettings, question: str, truth: str, answer: str, deadline: float) -> bool:
    key = digest(settings.model, PROMPT_VERSION, question, truth, answer)
    verdict = read_cached(settings.cache, key)
    if verdict is None:
        verdict = _ask(settings, judge_prompt(question, truth, answer), deadline)
        write_cached(settings.cache, key, verdict)
    return verdict


def _ask(settings: JudgeSettings, prompt: str, deadline: float) -> bool:
    from reward_score.judge.client import complete  # here, because it takes HTTP and TLS along
    for _ in range(ASKS):
        reply = complete(settings, prompt, deadline)
        verdict = read_verdict(reply)
        if verdict is not None:
            return verdict
    raise RewardUnavailable(f"{settings.judge} gave no verdict in {ASKS} replies; the last ends with "
                            f"{reply.strip()[-80:]!r}; is it a chat model that follows instructions?")


def _question(extra_info: Mapping[str, object] | None, data_source: str) -> str:
    info = extra_info or {}
    question = _text(info.get("question")) or _text(info.get("original_question"))
    if not question:
        raise ValueError(f"rows of {data_source!r} need extra_info.question (or original_question), which the judge "
                         "reads; add it when preparing the data")
    return question


def _truth(value: object) -> str:
    return _text(last_boxed(value) or value) if isinstance(value, str) else _text(value)


def _text(value: object) -> str:
    """Stripped; lone surrogates, which no request can carry, become question marks. "" for what is no text."""
    return str(value).strip().encode("utf-8", "replace").decode() if isinstance(value, str | int | float) else ""


def _result(right: bool, pred: str, judged: bool) -> dict[str, object]:
    return {"score": float(right), "acc": float(right), "pred": pred[:200], "judged": judged}
