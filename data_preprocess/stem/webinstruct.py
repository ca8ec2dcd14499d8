r"""WebInstruct-verified without mathematics: short answers of university level (Ma et al. 2025, arXiv:2505.14652).

A judge compares them, so what it cannot judge well is dropped: yes or no, letters, long answers and long decimals.
"""

import re
import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.core.lengths import load_tokenizer

INSTRUCTION = " Think step by step and output the final answer within \\boxed{}."
MAX_ANSWER_TOKENS = 30
_PIECES = re.compile(r"\d|[^\W\d]{1,8}|[^\w\s]")  # about what a tokenizer makes of a short answer
_LONG_DECIMAL = re.compile(r"\d\.\d{4}")
DATASET = Dataset(domain="stem",
                  name="web",
                  train=Source("TIGER-Lab/WebInstruct-verified"),
                  data_source="stem_web",
                  options={
                      "tokenizer": "",
                      "max_answer_tokens": MAX_ANSWER_TOKENS
                  },
                  licence="Apache-2.0",
                  origin="TIGER-Lab/WebInstruct-verified",
                  size="about 232,000")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(train, None) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str,
                data_source: str,
                tokenizer: str = "",
                max_answer_tokens: int = MAX_ANSWER_TOKENS) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row. Without `tokenizer` (upstream: Qwen3's) tokens of answers are estimated."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        question, answer = example["question"].strip(), (example["answer"] or "").strip()
        _refuse(example, answer)
        length = _token_count(answer, tokenizer)
        if length > max_answer_tokens:
            raise Drop(f"answer longer than {max_answer_tokens} tokens")
        kept = {name: example[name] for name in ("category", "difficulty", "answer_type")}
        info = {"idx": str(example["id"]), "question": question, **kept, "token_length": length}
        return make_row(data_source, question + INSTRUCTION, answer, "QA", info)

    return process_fn


def _refuse(example: Mapping[str, object], answer: str) -> None:
    if example["category"] == "Mathematics":
        raise Drop("mathematics")
    if example["difficulty"] not in ("University", "PhD"):
        raise Drop("below university level")
    if example["answer_type"] in ("Boolean", "Multiple Choice") or (len(answer) == 1 and answer.isalpha()):
        raise Drop("an answer that can be guessed")
    if not answer or not example["question"].strip():
        raise Drop("no question or no answer")
    if _LONG_DECIMAL.search(answer):
        raise Drop("more than three decimals")


def _token_count(text: str, tokenizer: str) -> int:
    if not tokenizer:
        return len(_PIECES.findall(text))
    return len(load_tokenizer(tokenizer).encode(text, add_special_tokens=False))


if __name__ == "__main__":
    sys.exit(main(__file__))
