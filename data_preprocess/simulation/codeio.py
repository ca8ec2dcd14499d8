"""CodeI/O: predict what a function returns, or what it was called with, without running it (arXiv:2502.07316)."""

import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from data_preprocess.core import Dataset, Drop, Source, main, make_row
from data_preprocess.core.files import read_examples

HUB, FILE = "hkust-nlp/CodeIO-PyEdu-Reasoning-Raw", "0_368500_filtered_v2_ds25.sced.jsonl"
FIRST = 200_000  # functions that are looked at
PROMPT = """\
{problem_description}

Inputs and outputs:
{io_requirements}

The reference code:
```python
{refcode}
```

{given_head}
```json
{given}
```

{asked} Work it out by reasoning, without running code. End with one ```json block that holds an object with the \
single key "{key}": {{"{key}": ...}}. {form}"""
ASKED = {
    "output": ("What does the code return for it?", "Its value has the form that the output is described to have."),
    "input": ("Which input leads to it?", "Its value is an object with a key for every input variable."),
}  # yapf: disable
GIVEN_HEAD = {"output": "The code gets this input:", "input": "The code returned this output:"}


@dataclass(frozen=True)
class _First:
    """The first examples of a file, read anew by each iteration."""

    path: Path

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        return islice(read_examples(self.path), FIRST)


DATASET = Dataset(domain="simulation",
                  name="codeio",
                  train=Source(HUB, read=lambda path: iter(_First(path))),
                  test_share=0.1,
                  ability="coding-inference",
                  max_prompt_tokens=2048,
                  options={"seed": 42},
                  origin=HUB,
                  size="368,500")


def get_datasets(cache_dir: str | None = None) -> tuple[object, object]:
    """(all, None): the file of the hub itself, since its values are of too many types for a table."""
    from huggingface_hub import hf_hub_download

    return _First(Path(hf_hub_download(HUB, FILE, repo_type="dataset", cache_dir=cache_dir))), None


def make_map_fn(split: str, data_source: str, seed: int = 42) -> Callable[[Mapping[str, object], int], dict]:
    """-> process_fn(example, index) -> row about the first input and output of a function.

    Which of the two is asked for depends on the seed and on the row's text alone.
    """

    def process_fn(example: Mapping[str, object], index: int) -> dict:
        if not example.get("ios"):
            raise Drop("no input and output")
        pair = {key: json.dumps(example["ios"][0][key], ensure_ascii=False) for key in ("input", "output")}
        code = example["refcode"]
        key = random.Random(f"{seed}/{code}/{pair['input']}").choice(("input", "output"))
        given = {"input": "output", "output": "input"}[key]
        asked, form = ASKED[key]
        prompt = PROMPT.format(problem_description=example["problem_description"].strip(),
                               io_requirements=example["io_requirements"].strip(),
                               refcode=code.strip(),
                               given_head=GIVEN_HEAD[key],
                               given=pair[given],
                               asked=asked,
                               form=form,
                               key=key)
        return make_row(data_source, prompt, f'"{key}": {pair[key]}', DATASET.ability, {"predict": key})

    return process_fn


if __name__ == "__main__":
    sys.exit(main(__file__))
