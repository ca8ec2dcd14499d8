"""FinQA: numerical questions about a page of a financial report (arXiv:2109.00122)."""

import re
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction

from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.table.markdown import markdown_table

PROMPT = """\
Answer the question from this page of a report.

{before}

{table}

{after}

Question: {question}

Reason step by step, then put the final number in \\boxed{{}}; write a percentage with its sign (12.5\\%) or as a \
fraction of one (0.125)."""
DATASET = Dataset(domain="table",
                  name="finqa",
                  test=Source("nanoverl/finqa", split="test"),
                  max_prompt_tokens=4096,
                  origin="nanoverl/finqa",
                  size="1,147")
_NUMBER = re.compile(r"(-?(?:\d+\.?\d*|\.\d+))(%?)(?:[:/](\d+\.?\d*))?")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(None, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row. Answers that are no numbers are left out."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        prompt = PROMPT.format(before="\n".join(example["pre_text"]),
                               table=markdown_table(example["table"]),
                               after="\n".join(example["post_text"]),
                               question=example["question"])
        return make_row(data_source, prompt, _number(example["answer"]), "table", {"answer_text": example["answer"]})

    return process_fn


def _number(text: str) -> float:
    """`$1,250`, `-12.5%` (-0.125), `3:2` (1.5).

    Raises:
        Drop: it is none.
    """
    match = _NUMBER.fullmatch(re.sub(r"[,$\s]", "", text))
    if not match or (match[3] and not Fraction(match[3])):
        raise Drop("answer is no number")
    return float(Fraction(match[1]) / (100 if match[2] else 1) / Fraction(match[3] or 1))


if __name__ == "__main__":
    sys.exit(main(__file__))
