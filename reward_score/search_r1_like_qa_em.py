"""`searchR1_*`: questions answered with a search engine (Jin et al. 2025, arXiv:2503.09516), scored by exact match.

Both sides are normalised as SQuAD does (Rajpurkar et al. 2016, arXiv:1606.05250).
"""

import re
import string
from collections.abc import Mapping

from reward_score.extraction import after_thinking, last_tag
from reward_score.registry import register_reward

MAX_ANSWER = 10_000  # characters; a longer text is no short answer

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_RETRIEVED = ("</information>", "</tool_response>")  # what a document says is not the model's answer


def reference_answer(ground_truth: object, extra_info: dict) -> str:
    return f"<answer> {_targets('searchR1', ground_truth)[0]} </answer>"


def near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    """The answer among other words, without tags, in an open tag, in a retrieved document; taken back; none at all."""
    answer = _targets("searchR1", ground_truth)[0]
    return [
        f"<answer>either {answer} or not</answer>", f"<answer>{answer} qqq</answer>", answer, f"<answer>{answer}",
        f"<information><answer>{answer}</answer></information> I do not know.",
        f"<answer>{answer}</answer><answer>qqq</answer>", "<answer></answer>"
    ]


@register_reward("searchR1_*",
                 answer_format="The last <answer>...</answer> holds the short answer and nothing else.",
                 reference_answer=reference_answer,
                 near_misses=near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """1.0 if the last `<answer>` equals one of the references after normalisation; else 0.0.

    Letter case, punctuation, articles and spacing do not matter. Extra key: `pred`.

    Args:
        ground_truth: `{"target": [...]}`, a list (or NumPy array) of answers, or one answer.

    Raises:
        ValueError: `ground_truth` holds no answer.
    """
    truths = {normalize(target) for target in _targets(data_source, ground_truth)}
    answer = after_thinking(solution_str) or ""
    for mark in _RETRIEVED:
        answer = answer.rpartition(mark)[2]
    pred = last_tag(answer) or ""
    score = float(len(pred) <= MAX_ANSWER and normalize(pred) in truths)
    return {"score": score, "acc": score, "pred": pred[:200]}


def normalize(text: str) -> str:
    """Lower case without punctuation and articles, single spaces; a text that is nothing else (`The The`) stays."""
    lower = text.lower()
    words = _ARTICLE.sub(" ", lower.translate(_NO_PUNCTUATION)).split()
    return " ".join(words or lower.split())


def _targets(data_source: str, ground_truth: object) -> list[str]:
    value = ground_truth.get("target") if isinstance(ground_truth, Mapping) else ground_truth
    value = value.tolist() if hasattr(value, "tolist") else value
    targets = [str(target) for target in (value if isinstance(value, list | tuple) else [value]) if target is not None]
    targets = [target for target in targets if target.strip()]
    if not targets:
        raise ValueError(f"ground_truth of {data_source!r} must be {{'target': [answers]}} with an answer, "
                         f"got {str(ground_truth)[:100]!r}")
    return targets
