"""HiTab: questions about tables with hierarchical heads, from statistical reports and Wikipedia (arXiv:2108.06712)."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.core.files import Example, read_examples
from data_preprocess.table.markdown import markdown_table

PROMPT = """\
Answer the question from this table{title}.

{table}

Question: {question}

Reason step by step, then put the final answer in \\boxed{{}}. If there are several answers, separate them by |."""
DOWNLOAD = "git clone https://github.com/microsoft/HiTab && cd HiTab/data && unzip tables.zip"


def read_with_tables(path: Path) -> Iterator[Example]:
    """The samples of a file, each with its `table`, from `tables/raw/<table_id>.json` beside the file.

    Raises:
        ValueError: a table is missing.
    """
    for sample in read_examples(path):
        table = path.parent / "tables" / "raw" / f"{sample['table_id']}.json"
        if not table.is_file():
            raise ValueError(f"{table}: there is no such file; unzip tables.zip beside {path.name}")
        yield {**sample, "table": json.loads(table.read_text(encoding="utf-8"))}


DATASET = Dataset(domain="table",
                  name="hitab",
                  train=Source(local="train_samples", read=read_with_tables, download=DOWNLOAD),
                  test=Source(local="test_samples", read=read_with_tables, download=DOWNLOAD),
                  max_prompt_tokens=4096,
                  licence="C-UDA 1.0",
                  origin="github.com/microsoft/HiTab",
                  size="7,417 + 1,584")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """Raises ValueError, which says how to download it."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        answers = [_written(answer) for answer in example["answer"]]
        if not answers or not all(answers):
            raise Drop("no answer")
        table, title = example["table"], example["table"].get("title")
        prompt = PROMPT.format(title=f' ("{title}")' if title else "",
                               table=markdown_table(table["texts"]),
                               question=example["question"])
        return make_row(data_source, prompt, "|".join(answers), "table", {
            "sample_id": example["id"],
            "table_id": example["table_id"],
            "aggregation": "|".join(example["aggregation"])
        })

    return process_fn


def _written(answer: object) -> str:
    """All numbers are floats there: 4.0 is `4`."""
    return str(int(answer)) if isinstance(answer, float) and answer.is_integer() else str(answer).strip()


if __name__ == "__main__":
    sys.exit(main(__file__))
