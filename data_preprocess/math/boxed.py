r"""What competition datasets share: a problem and its answer become a row that asks for a `\boxed{}`."""

from collections.abc import Callable, Mapping

from data_preprocess.core import Drop, Source, make_row
from reward_score.math import METRICS

INSTRUCTION = " Please output the final answer within \\boxed{}."
REWARD_OPTIONS = {"train_reward_metric": "naive_dapo", "test_reward_metric": "naive_dapo"}
TEST_SETS = {
    "aime_repeated_8x": Source("SDSB/aime_repeated_8x", "test", local="aime_repeated_8x", repeats=True),
    "amc_repeated_4x": Source("SDSB/amc_repeated_4x", "test", local="amc_repeated_4x", repeats=True),
    "minerva": Source("nanoverl/minerva", "test", local="minerva"),
    "olympiad_bench": Source("nanoverl/olympiad_bench", "test", local="olympiad_bench"),
    "math": Source("nanoverl/math", "test", local="math"),
    "aime2025_repeated_8x": Source("nanoverl/aime2025_repeated_8x", "test", local="aime2025_repeated_8x", repeats=True)
}


def make_boxed_map_fn(data_source: str, reward_metric: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row, for examples with a `problem` (or `question`) and an `answer`.

    Args:
        reward_metric: one of `METRICS`; how `reward_score.math` judges the rows.
    """
    if reward_metric not in METRICS:
        raise ValueError(f"reward metric {reward_metric!r}: take one of {', '.join(METRICS)}")

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        question = example["problem"] if "problem" in example else example["question"]
        if not question.strip():
            raise Drop("no problem")
        info = {"reward_metric": reward_metric, "original_question": question}
        return make_row(data_source, question + INSTRUCTION, answer_text(example["answer"]), "math", info)

    return process_fn


def answer_text(answer: object) -> str:
    """The reference as text: the first of a list, whole numbers without `.0`."""
    if isinstance(answer, list):
        answer = answer[0] if answer else None
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    text = "" if answer is None else str(answer).strip()
    if not text:
        raise Drop("no answer")
    return text
