r"""`math*` rows with `extra_info.reward_metric == "math_llm_judge"`: answers compared by a judge, not by algebra.

The judge is any OpenAI-compatible server: `MATH_LLM_JUDGE_URL`, and `MATH_LLM_JUDGE_MODEL`, `MATH_LLM_JUDGE_API_KEY`
where the defaults don't fit. `reward_score.judge` says how it is asked; `reward_score.math` calls this function.
"""

import re

from reward_score.extraction import parse_number
from reward_score.judge.grading import grade
from reward_score.judge.settings import JudgeService

SERVICE = JudgeService("MATH_LLM_JUDGE", "Qwen/Qwen2.5-32B-Instruct")

_SPACING = re.compile(r"(?<!\d)\s|\s(?!\d)|\\[,;:!]|\\q?quad(?![a-z])|\\(?:left|right|displaystyle)(?![a-z])")


def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    r"""1.0 if the judge finds that the last `\boxed{}` equals the reference (or one of a list of references).

    Equal formulas (but for LaTeX spacing) and equal plain numbers need no judge. Extra keys: `pred`, and `judged`,
    whether the judge decided. `judge_*` keywords override the environment.

    Raises:
        ValueError, RewardUnavailable: see `reward_score.judge.grading.grade`.
    """
    return grade(SERVICE, _same_formula, data_source, solution_str, ground_truth, extra_info, kwargs)


def _same_formula(truth: str, answer: str) -> bool:
    """A space between digits stays: `1 2` is not 12. Never True for an empty answer: a reference is not empty."""
    if truth == answer or (bare := _bare(truth)) and bare == _bare(answer):
        return True
    number = parse_number(truth)
    return number is not None and number == parse_number(answer)


def _bare(formula: str) -> str:
    return _SPACING.sub("", formula.strip().strip("$").strip().removesuffix("."))
