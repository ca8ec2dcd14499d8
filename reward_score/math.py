r"""`math*`, MATH, NuminaMath and AReaL-boba: the last `\boxed{}` of the answer, judged by `equivalence`.

`extra_info.reward_metric` picks among upstream's metrics where a row names one. `math`, `naive_dapo` and `prime_math`
are one judge here (upstream's differ in their faults); `math_dapo` reads and scores as that data source does.
"""

from reward_score import math_dapo, math_llm_judge
from reward_score.equivalence.answers import PRED_LENGTH, boxed_near_misses, boxed_reference, judge_any, references
from reward_score.extraction import after_thinking, last_boxed
from reward_score.registry import register_reward

METRICS = ("math", "naive_dapo", "prime_math", "math_dapo", "math_llm_judge")


@register_reward("math*",
                 "lighteval/MATH",
                 "DigitalLearningGmbH/MATH-lighteval",
                 "HuggingFaceH4/MATH-500",
                 "numina_*",
                 "boba*",
                 "areal_math*",
                 libraries=("reward_score.equivalence.algebra",),
                 services=("MATH_LLM_JUDGE_URL, only for rows with extra_info.reward_metric math_llm_judge",),
                 answer_format=r"the answer in the last \boxed{...}; anything after </think> is read, thoughts are not",
                 reference_answer=boxed_reference,
                 near_misses=boxed_near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    r"""1.0 if the boxed answer equals the reference (or one of a list of references) mathematically; else 0.0.

    Extra keys: `pred`, the boxed text, and `refused`, why an answer was not evaluated (empty if it was).

    Raises:
        ValueError: `ground_truth` is empty, or `extra_info.reward_metric` is unknown.
    """
    metric = _metric(data_source, extra_info)
    if metric == "math_dapo":
        return math_dapo.compute_score(data_source, solution_str, ground_truth, extra_info)
    if metric == "math_llm_judge":
        judged = math_llm_judge.compute_score(data_source, solution_str, ground_truth, extra_info, **kwargs)
        return {name: judged[name] for name in ("score", "acc", "pred")} | {"refused": ""}
    pred = last_boxed(after_thinking(solution_str) or "") or ""
    verdict = judge_any(references(ground_truth, data_source), pred)
    score = float(verdict.equal)
    return {"score": score, "acc": score, "pred": pred[:PRED_LENGTH], "refused": verdict.refused}


def _metric(data_source: str, extra_info: dict | None) -> str:
    metric = (extra_info or {}).get("reward_metric") or "math"
    if metric == "default":  # as released rows have it
        return "math"
    if metric not in METRICS:
        raise ValueError(f"extra_info.reward_metric of {data_source!r} is {metric!r}; "
                         f"use one of {', '.join(METRICS)}, or leave it out")
    return metric
