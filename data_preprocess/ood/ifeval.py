"""IFEval: prompts with instructions that a program can check (Zhou et al. 2023, arXiv:2311.07911)."""

import sys
from collections.abc import Callable, Mapping

from data_preprocess.core import Dataset, Source, load, main, make_row
from data_preprocess.ood.rows import refuse_unreadable

# Arguments of all instructions: each row names all of them, so that every file has the same columns.
ARGUMENTS = ("capital_frequency", "capital_relation", "end_phrase", "first_word", "forbidden_words", "frequency",
             "keyword", "keywords", "language", "let_frequency", "let_relation", "letter", "nth_paragraph",
             "num_bullets", "num_highlights", "num_paragraphs", "num_placeholders", "num_sections", "num_sentences",
             "num_words", "postscript_marker", "prompt_to_repeat", "relation", "section_spliter")
DATASET = Dataset(domain="ood",
                  name="ifeval",
                  test=Source("google/IFEval", local="ifeval_input_data"),
                  licence="Apache-2.0",
                  origin="google/IFEval",
                  size="541")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(None, test) from the hub."""
    return load(DATASET, cache_dir)


def make_map_fn(split: str, data_source: str) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row."""

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        truth = [{name: arguments.get(name) for name in ARGUMENTS} for arguments in example["kwargs"]]
        info = {
            "instruction_id_list": example["instruction_id_list"],
            "prompt": example["prompt"],
            "key": int(example["key"])
        }
        return refuse_unreadable(make_row(data_source, example["prompt"], truth, "ood", info))

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
