"""`ood__livebench`: LiveBench's reasoning, data analysis and language tasks (White et al. 2024, arXiv:2406.19314).

`extra_info["task"]` says which; each file of this package scores one category.
"""

from reward_score.extraction import after_thinking
from reward_score.livebench import data_analysis, language, reasoning
from reward_score.livebench.task import Task
from reward_score.registry import register_reward

TASKS: dict[str, Task] = {**data_analysis.TASKS, **language.TASKS, **reasoning.TASKS}

__all__ = ["TASKS", "compute_score"]


def reference_answer(ground_truth: object, extra_info: dict) -> str:
    return _task("livebench", extra_info)[1].reference(_truth("livebench", ground_truth))


def near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    return _task("livebench", extra_info)[1].near_misses(_truth("livebench", ground_truth), extra_info)


@register_reward("ood__livebench*",
                 needs_extra_info=("task",),
                 answer_format="What the row's prompt asks for: <solution>...</solution>, **bold** or \\boxed{} for "
                 "short answers; nothing but the table, the text or the class for the others.",
                 reference_answer=reference_answer,
                 near_misses=near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """The task's own score in [0, 1]; `acc` is 1.0 only for a full one. Extra keys: `pred` and `task`.

    Args:
        ground_truth: text, as in the Hugging Face data sets `livebench/{reasoning,data_analysis,language}`.
        extra_info: `task`; `tableformat` also needs `prompt`, the user's turns, which name the format.

    Raises:
        ValueError: unknown task, or a ground truth that does not fit it.
    """
    name, task = _task(data_source, extra_info or {})
    truth = _truth(data_source, ground_truth)
    score, pred = task.score(after_thinking(solution_str) or "", truth, extra_info or {})
    return {"score": score, "acc": float(score == 1.0), "pred": pred[:200], "task": name}


def _task(data_source: str, extra_info: dict) -> tuple[str, Task]:
    name = extra_info.get("task")
    if name not in TASKS:
        raise ValueError(f"extra_info.task of {data_source!r} is {name!r}; the known tasks are {sorted(TASKS)}")
    return name, TASKS[name]


def _truth(data_source: str, ground_truth: object) -> str:
    truth = "" if ground_truth is None else str(ground_truth)
    if not truth.strip():
        raise ValueError(f"ground_truth of {data_source!r} is empty")
    return truth
