"""verl's import path for `reward_score`, with the per-task modules that users name.

`from verl.utils.reward_score import zebra_puzzle; zebra_puzzle.compute_score(solution_str, ground_truth, extra_info)`
scores as a row of that task would be. The modules are made from the table below.
"""

import sys
from collections.abc import Callable
from types import ModuleType

from reward_score import _default_compute_score, default_compute_score

# Module -> a data_source that it scores.
TASKS = {
    "arcagi": "simulation__arcagi1",
    "codeio": "simulation__codeio",
    "coder1": "codegen__coder1",
    "cruxeval": "simulation__cruxeval-o",
    "geo3k": "hiyouga/geometry3k",
    "gpqa": "stem__gpqa",
    "graph_dataset": "logic__graph_logical",
    "gsm8k": "openai/gsm8k",
    "ifbench": "ood__ifbench",
    "ifeval": "ood__ifeval",
    "livebench": "ood__livebench",
    "math": "math",
    "math_dapo": "math_dapo",
    "naive_dapo": "math__naive_dapo",
    "prime_code": "taco",
    "prime_math": "numina_olympiads",
    "puzzles_dataset": "logic__ordering_puzzle",
    "reasoning_gym": "reasoning_gym",
    "search_r1_like_qa_em": "searchR1_nq",
    "stem_llm_judge": "stem_web",
    "supergpqa": "stem__supergpqa",
    "tablereason": "table__hitab",
    "zebra_puzzle": "logic__zebra_puzzle",
}
_GIVE_THE_SCORE_ALONE = ("geo3k", "gsm8k", "math", "search_r1_like_qa_em")  # as verl's do; the others give the dict

__all__ = ["_default_compute_score", "default_compute_score", *TASKS]


def _compute_score(name: str, data_source: str) -> Callable[..., object]:

    def compute_score(solution_str: str,
                      ground_truth: object,
                      extra_info: dict | None = None,
                      **kwargs: object) -> object:
        result = default_compute_score(data_source, solution_str, ground_truth, extra_info, **kwargs)
        return result["score"] if name in _GIVE_THE_SCORE_ALONE else result

    compute_score.__doc__ = f"Scores an answer as a row of data_source {data_source!r}."
    return compute_score


for _name, _data_source in TASKS.items():
    _module = ModuleType(f"{__name__}.{_name}", f"`reward_score` for {_data_source!r} with verl's arguments.")
    _module.compute_score = _compute_score(_name, _data_source)
    sys.modules[_module.__name__] = globals()[_name] = _module
