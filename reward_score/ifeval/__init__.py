"""`ood__ifeval*`, Google's IFEval (Zhou et al. 2023, arXiv:2311.07911): verifiable instructions, all or nothing."""

from reward_score.instructions.drafts import near_misses, write
from reward_score.instructions.scoring import Demand, read_demands, score_demands
from reward_score.registry import register_reward


def _demands(data_source: str, ground_truth: object, extra_info: dict | None) -> list[Demand]:
    ids = (extra_info or {}).get("instruction_id_list")
    if ids is None:
        raise ValueError(f"extra_info of {data_source!r} lacks 'instruction_id_list'; add the row's list of ids")
    return read_demands(data_source, ids, ground_truth)


@register_reward("ood__ifeval*",
                 needs_extra_info=("instruction_id_list",),
                 open_ended=True,
                 answer_format="the text after </think> follows every instruction of the row",
                 reference_answer=lambda truth, info: write(_demands("ood__ifeval", truth, info)),
                 near_misses=lambda truth, info: near_misses(_demands("ood__ifeval", truth, info)))
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """1.0 if the answer follows all instructions strictly; extra keys `followed`, `instructions`, `total`.

    Args:
        ground_truth: list of kwargs dicts, one for each id in `extra_info["instruction_id_list"]`.

    Raises:
        ValueError: the row lacks ids or arguments, or names an unknown id.
    """
    return score_demands(solution_str, _demands(data_source, ground_truth, extra_info))
