"""What CRUXEval's two tasks share (arXiv:2401.03065): a short function `f`, an input and its output."""

import ast
import json
from collections.abc import Mapping

from data_preprocess.core import Drop, make_row

FORM = (
    "Reason step by step. Then write the completed assertion, with literals and no other code, in one ```python block "
    "at the end.")


def cruxeval_row(data_source: str, example: Mapping[str, object], question: str, assertion: str) -> dict:
    """The row of `assertion`, which has `??` in place of what is asked for.

    Raises:
        Drop: input or output are no literals.
    """
    try:
        ast.literal_eval(example["output"])
        call = ast.parse(f"f({example['input']})", mode="eval").body
        for value in (*call.args, *(keyword.value for keyword in call.keywords)):
            ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise Drop("input or output is no literal") from None
    prompt = f"{question}\n\n```python\n{example['code'].strip()}\n\n{assertion}\n```\n\n{FORM}"
    return make_row(
        data_source, prompt, json.dumps({"functional": example["code"]}), "simulation", {
            "reference": example["output"],
            "original_prompt": prompt,
            "dataset": data_source.rpartition("__")[2],
            "task_id": example["id"]
        })
