"""The row that training reads: how it is made, and what it must be."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from reward_score.registry import Reward, resolve

Row = dict[str, object]
_ROLES = ("system", "user", "assistant", "tool")


class RowError(ValueError):
    """A row that training could not use; the message names dataset, row and field."""


def make_row(data_source: str,
             prompt: str | Sequence[Mapping[str, str]],
             ground_truth: object,
             ability: str,
             extra_info: Mapping[str, object] | None = None,
             apply_chat_template: bool = True,
             raw_prompt: str | None = None,
             style: str = "rule") -> Row:
    """A row in the schema of verl and Reasoning360; `index`, `split` and `id` are added to `extra_info` later.

    Args:
        prompt: messages, or the text of one user message.
        raw_prompt: the ready-made text for models without chat template, read with `apply_chat_template=False`.
    """
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(m) for m in prompt]
    row = {
        "data_source": data_source,
        "prompt": messages,
        "ability": ability,
        "apply_chat_template": apply_chat_template,
        "reward_model": {
            "style": style,
            "ground_truth": ground_truth
        },
        "extra_info": dict(extra_info or {}),
    }
    return row if raw_prompt is None else row | {"raw_prompt": raw_prompt}


def finish_row(row: Row, split: str, index: int) -> Row:
    """Adds `split`, `index` (of the raw example) and, unless the script gave one, a stable `id`."""
    row["extra_info"] = {"id": row_id(row), **row["extra_info"], "split": split, "index": index}
    return row


def row_id(row: Row) -> str:
    """A name that stays as long as prompt and ground truth do."""
    text = json.dumps([row["prompt"], row["reward_model"]["ground_truth"]], ensure_ascii=False, default=str)
    return f"{row['data_source']}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def check_row(row: Row, where: str) -> None:
    """Raises RowError unless training and the row's reward function can use it; `where` names dataset and row."""
    for field, problem in _problems(row):
        raise RowError(f"{where}, field {field}: {problem}")


def _problems(row: Row):  # noqa: ANN202 -- (field, problem) pairs
    if not (isinstance(row.get("data_source"), str) and row["data_source"]):
        yield "data_source", "must be a text"
        return
    yield from _prompt_problems(row)
    if not (isinstance(row.get("ability"), str) and row["ability"]):
        yield "ability", "must be a text"
    reward_model = row.get("reward_model")
    if not isinstance(reward_model, dict) or not reward_model.get("style"):
        yield "reward_model", "must hold style and ground_truth"
        return
    if _is_empty(reward_model.get("ground_truth")):
        yield "reward_model.ground_truth", f"is {reward_model.get('ground_truth')!r}"
    extra_info = row.get("extra_info")
    if not isinstance(extra_info, dict) or not isinstance(extra_info.get("index"), int):
        yield "extra_info.index", "must be the number of the raw example"
        return
    yield from _reward_problems(row["data_source"], extra_info)


def _prompt_problems(row: Row):  # noqa: ANN202
    messages = row.get("prompt")
    if not isinstance(messages, list) or not messages:
        yield "prompt", "must be a list of messages"
        return
    for number, message in enumerate(messages):
        if message.get("role") not in _ROLES:
            yield f"prompt[{number}].role", f"{message.get('role')!r} is none of {', '.join(_ROLES)}"
        if not isinstance(message.get("content"), str) or not message["content"].strip():
            yield f"prompt[{number}].content", "is empty"
    if not isinstance(row.get("apply_chat_template"), bool):
        yield "apply_chat_template", "must be true or false"
    elif not row["apply_chat_template"] and not row.get("raw_prompt"):
        yield "raw_prompt", "is needed where apply_chat_template is false"


def _is_empty(truth: object) -> bool:
    if isinstance(truth, float):
        return math.isnan(truth)
    return truth is None or (isinstance(truth, str | list | dict) and not truth)


def _reward_problems(data_source: str, extra_info: dict):  # noqa: ANN202
    try:
        reward = _resolve(data_source)
    except ValueError as error:
        yield "data_source", str(error)
        return
    for name in reward.needs_extra_info:
        if extra_info.get(name) is None:
            yield f"extra_info.{name}", f"is missing, but the reward of {data_source!r} reads it"


@lru_cache
def _resolve(data_source: str) -> Reward:
    return resolve(data_source)
