"""MultiHiertt: calculations over several hierarchical tables of financial reports (arXiv:2206.01347)."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Drop, Source, load, main, make_row
from data_preprocess.table.markdown import html_rows, markdown_table

PROMPT = """\
Answer the question from {these}.

{tables}

Question: {question}

Reason step by step, then put the final answer in \\boxed{{}}."""
DOWNLOAD = "its files are at drive.google.com/drive/folders/1ituEWZ5F7G9T9AZ0kzZZLrHNhRigHCZJ"
DATASET = Dataset(domain="table",
                  name="multihier",
                  train=Source(download=DOWNLOAD),
                  test=Source(local="dev", download=DOWNLOAD),
                  max_prompt_tokens=4096,
                  origin="github.com/psunlpgroup/MultiHiertt",
                  size="7,830 + 1,044")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """Raises ValueError, which says how to download it."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row. Questions that need the report's text are left out."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        qa = example["qa"]
        if len(qa["text_evidence"]):
            raise Drop("needs the report's text")
        answer = str(qa["answer"]).strip()
        if not answer:
            raise Drop("no answer")
        tables = [markdown_table(html_rows(table)) for table in example["tables"]]
        prompt = PROMPT.format(these="this table" if len(tables) == 1 else "these tables",
                               tables="\n\n".join(tables),
                               question=qa["question"])
        return make_row(data_source, prompt, answer, "table", {
            "uid": example["uid"],
            "question_type": qa.get("question_type") or ""
        })

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
