"""`ood__ifbench*`, allenai/IF_multi_constraints_upto5 (Pyatkin et al. 2025, arXiv:2507.02833): up to five at once."""

import ast
import json

from reward_score.instructions.drafts import near_misses, write
from reward_score.instructions.scoring import Demand, read_demands, score_demands
from reward_score.registry import register_reward
from reward_score.syntax import parse_expression


def _demands(data_source: str, ground_truth: object) -> list[Demand]:
    return [
        demand for item in _items(data_source, ground_truth)
        for demand in read_demands(data_source, item.get("instruction_id"), item.get("kwargs"))
    ]


def _items(data_source: str, ground_truth: object) -> list[dict]:
    """The row's `[{"instruction_id": [...], "kwargs": [...]}]`, written as a Python literal, as JSON, or not at all."""
    items = _literal(ground_truth) if isinstance(ground_truth, str) else ground_truth
    items = items.tolist() if hasattr(items, "tolist") else items
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise ValueError(
            f"ground_truth of {data_source!r} must be [{{'instruction_id': [...], 'kwargs': [...]}}] or its "
            f"text, got {str(ground_truth)[:200]!r}; correct the row")
    return items


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(parse_expression(text))  # a literal of the dataset, never the model's text
    except (ValueError, SyntaxError):
        pass
    try:
        return json.loads(text)
    except ValueError:
        return None


@register_reward("ood__ifbench*",
                 open_ended=True,
                 answer_format="the text after </think> follows every instruction of the row",
                 reference_answer=lambda truth, info: write(_demands("ood__ifbench", truth)),
                 near_misses=lambda truth, info: near_misses(_demands("ood__ifbench", truth)))
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """1.0 if the answer follows all instructions strictly; extra keys `followed`, `instructions`, `total`.

    Args:
        ground_truth: the text of a Python list of `{"instruction_id": [...], "kwargs": [...]}`; every item counts.

    Raises:
        ValueError: the row cannot be read, lacks arguments or names an unknown id.
    """
    return score_demands(solution_str, _demands(data_source, ground_truth))
