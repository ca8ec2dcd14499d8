r"""`math*`, MATH and AIME: the last `\boxed{}` of the answer, judged by math-verify.

Plain numbers and equal strings are settled here; everything else goes to math-verify's LaTeX parser and SymPy, after
`too_complex` has looked at it. Model text is never evaluated as Python: math-verify's plain-expression parser, which
would, is not used. Its timeouts are off as well, since they need signals; the deadline is the pool's.
"""

import logging
import re
from collections.abc import Sequence

from reward_score.complexity import too_complex
from reward_score.extraction import after_thinking, last_boxed, parse_number
from reward_score.registry import register_reward

RELATIVE_TOLERANCE = 1e-6  # between decimals; integers must be equal

_SPACING = re.compile(r"\s|\\[,;:! ]|\\q?quad(?![a-z])|\\(?:left|right|displaystyle)(?![a-z])")
_PERCENT = re.compile(r"\s*\\?%$")


@register_reward("math*",
                 "aime*",
                 "lighteval/MATH",
                 "DigitalLearningGmbH/MATH-lighteval",
                 "HuggingFaceH4/MATH-500",
                 libraries=("math_verify",))
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    r"""1.0 if the boxed answer equals the reference (or one of a list of references) mathematically; else 0.0.

    A trailing percent sign is a unit, on either side: `42\%` equals 42, not 0.42. Extra keys: `pred`, the boxed text,
    and `refused`, why an answer was not evaluated (empty if it was).

    Raises:
        ValueError: `ground_truth` is empty.
    """
    pred = last_boxed(after_thinking(solution_str) or "") or ""
    truths = [_canonical(truth) for truth in _as_list(ground_truth)]
    if not all(truths):
        raise ValueError(f"ground_truth of {data_source!r} is empty")
    answer = _canonical(pred)
    verdicts = [_settle(truth, answer) for truth in truths]
    refused = ""
    if True not in verdicts and None in verdicts:
        refused = too_complex(answer)
        open_truths = [] if refused else [
            truth for truth, verdict in zip(truths, verdicts, strict=True) if verdict is None
        ]
        verdicts = [_math_verify(truth, answer) for truth in open_truths]
    score = float(True in verdicts)
    return {"score": score, "acc": score, "pred": pred[:200], "refused": refused}


def _as_list(ground_truth: object) -> list[str]:
    """References as strings; one that is written in a box is taken out of it."""
    if hasattr(ground_truth, "tolist"):  # a NumPy array or scalar from parquet
        ground_truth = ground_truth.tolist()
    several = isinstance(ground_truth, Sequence) and not isinstance(ground_truth, str)
    return [last_boxed(str(truth)) or str(truth) for truth in (ground_truth if several else [ground_truth])]


def _canonical(answer: str) -> str:
    return _PERCENT.sub("", answer.strip().strip("$").removesuffix(".").strip())


def _settle(truth: str, answer: str) -> bool | None:
    """True or False where strings or plain numbers decide, None where algebra has to."""
    if not answer:
        return False
    if _SPACING.sub("", truth) == _SPACING.sub("", answer):
        return True
    a, b = parse_number(truth), parse_number(answer)
    if a is None or b is None:
        return None
    if a.denominator == b.denominator == 1:
        return a == b
    return abs(a - b) <= RELATIVE_TOLERANCE * abs(a)


def _math_verify(truth: str, answer: str) -> bool:
    from math_verify import LatexExtractionConfig, parse, verify  # here, because it takes SymPy along

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its timeouts are off
    latex_only = [LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)]
    parsed = [parse(rf"\boxed{{{text}}}", latex_only, parsing_timeout=None) for text in (truth, answer)]
    return bool(verify(*parsed, timeout_seconds=None))
