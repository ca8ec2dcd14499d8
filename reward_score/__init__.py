"""From a `data_source` and an answer to a score. No torch, no Ray; importing it is light.

`default_compute_score` scores in the caller's process, without a deadline. `reward_score.pool.RewardPool` runs it, or
the user's own function, in processes that can be killed.
"""

# Each of these registers what it scores.
from reward_score import (
    arcagi,
    codeio,
    coder1,
    cruxeval,
    geo3k,
    gpqa,
    graph_dataset,
    gsm8k,
    ifbench,
    ifeval,
    livebench,
    math,
    math_dapo,
    puzzles_dataset,
    reasoning_gym,
    search_r1_like_qa_em,
    stem_llm_judge,
    supergpqa,
    tablereason,
    zebra_puzzle,
)
from reward_score.registry import known_patterns, register_reward, resolve
from reward_score.result import normalize_result

__all__ = [
    "arcagi", "coder1", "codeio", "cruxeval", "default_compute_score", "geo3k", "gpqa", "graph_dataset", "gsm8k",
    "ifbench", "ifeval", "known_patterns", "livebench", "math", "math_dapo", "normalize_result", "puzzles_dataset",
    "reasoning_gym", "register_reward", "resolve", "search_r1_like_qa_em", "stem_llm_judge", "supergpqa", "tablereason",
    "zebra_puzzle"
]


def default_compute_score(data_source: str,
                          solution_str: str,
                          ground_truth: object,
                          extra_info: dict | None = None,
                          **kwargs: object) -> dict[str, object]:
    """Scores one answer with the function registered for `data_source`.

    Args:
        data_source: the row's `data_source`; see `resolve`.
        solution_str: the decoded response, without the prompt.
        ground_truth: `reward_model.ground_truth` of the row.
        extra_info: the row's `extra_info`.
        **kwargs: passed on to the function.

    Returns:
        `{"score": float, "acc": float, ...}`; the extra keys of one function are always the same.

    Raises:
        ValueError: unknown `data_source`, or a return value that is no score.
    """
    value = resolve(data_source).function(data_source=data_source,
                                          solution_str=solution_str,
                                          ground_truth=ground_truth,
                                          extra_info=extra_info,
                                          **kwargs)
    return normalize_result(value, data_source)


_default_compute_score = default_compute_score
