"""`logic__graph*`, `graph_logical_dataset*`: name the next node on the way through a graph; exact match."""

from reward_score.extraction import after_thinking, last_tag
from reward_score.registry import register_reward


def reference_answer(ground_truth: object, extra_info: dict) -> str:
    return f"<answer> {_truth('graph', ground_truth)} </answer>"


def near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    """A letter more, another word beside it, no tags, an unclosed tag, the right node taken back."""
    node = _truth("graph", ground_truth)
    return [
        f"<answer>{node}x</answer>", f"<answer>{node} x</answer>", node, f"<answer>{node}",
        f"<answer>{node}</answer><answer>x{node}</answer>"
    ]


@register_reward("logic__graph*",
                 "graph_logical*",
                 answer_format="The last <answer>...</answer> holds the node's name and nothing else.",
                 reference_answer=reference_answer,
                 near_misses=near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """1.0 if the last `<answer>` is the reference, whatever its letter case; else 0.0. Extra key: `pred`.

    Raises:
        ValueError: `ground_truth` is empty.
    """
    truth = _truth(data_source, ground_truth)
    pred = last_tag(after_thinking(solution_str) or "") or ""
    score = float(pred.lower() == truth.lower())
    return {"score": score, "acc": score, "pred": pred[:200]}


def _truth(data_source: str, ground_truth: object) -> str:
    node = "" if ground_truth is None else str(ground_truth).strip()
    if not node:
        raise ValueError(f"ground_truth of {data_source!r} is empty; it must be the name of a node")
    return node
