r"""`stem_web`, WebInstruct-verified (Ma et al. 2025, arXiv:2505.14652): free-form answers, compared by a judge.

The judge is any OpenAI-compatible server: `STEM_LLM_JUDGE_URL`, and `STEM_LLM_JUDGE_MODEL`, `STEM_LLM_JUDGE_API_KEY`
where the defaults don't fit. `reward_score.judge` says how it is asked.
"""

from reward_score.judge.grading import ANSWER_FORMAT, boxed_reference, grade, unboxed_near_misses
from reward_score.judge.settings import JudgeService
from reward_score.registry import register_reward

SERVICE = JudgeService("STEM_LLM_JUDGE", "TIGER-Lab/general-verifier")


@register_reward("stem_web*",
                 "stem__web*",
                 needs_extra_info=("question",),
                 environment=("STEM_LLM_JUDGE_URL",),
                 services=("STEM_LLM_JUDGE_URL (an OpenAI-compatible server of TIGER-Lab/general-verifier)",),
                 answer_format=ANSWER_FORMAT,
                 reference_answer=boxed_reference,
                 near_misses=unboxed_near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    r"""1.0 if the judge finds that the last `\boxed{}` says the same as the reference; equal texts need no judge.

    Extra keys: `pred`, and `judged`, whether the judge decided. `judge_*` keywords override the environment.

    Raises:
        ValueError, RewardUnavailable: see `reward_score.judge.grading.grade`.
    """
    return grade(SERVICE, _same_text, data_source, solution_str, ground_truth, extra_info, kwargs)


def _same_text(truth: str, answer: str) -> bool:
    return truth.split() == answer.split()
