"""From the messages of a row to the text that the model reads."""
from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from verl.utils.tokenizer import require_chat_template

Message = dict[str, Any]


def as_messages(value: Any, key: str) -> list[Message]:  # noqa: ANN401 - whatever the file holds
    """Checks a list of {role, content}; a string becomes one user message. Raises ValueError that names `key`.

    Keys whose value is None are left out: parquet adds them where another row has them, and templates ask "is defined".
    """
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise ValueError(f"`{key}` is {_describe(value)}, not a list of {{role, content}} nor a string")
    for message in value:
        if not isinstance(message, Mapping):
            raise ValueError(f"`{key}` holds a value {_describe(message)} where a message {{role, content}} belongs")
        for name in ("role", "content"):
            if not isinstance(message.get(name), str):
                raise ValueError(f"`{key}` has a message whose `{name}` is {_describe(message.get(name))}, not text")
    return [{name: part for name, part in message.items() if part is not None} for message in value]


def render(tokenizer: PreTrainedTokenizerBase, messages: list[Message], add_generation_prompt: bool,
           template_kwargs: Mapping[str, Any]) -> str:
    """The messages as text by the tokenizer's chat template. Raises ValueError if it has none, or if it refuses."""
    require_chat_template(tokenizer)
    try:
        return tokenizer.apply_chat_template(messages,
                                             tokenize=False,
                                             add_generation_prompt=add_generation_prompt,
                                             **template_kwargs)
    except TemplateError as error:
        raise ValueError(f"the chat template refuses these messages ({error}): change the row, or the template of "
                         f"{tokenizer.name_or_path!r}") from error


def render_prompt(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any], prompt_key: str,
                  template_kwargs: Mapping[str, Any]) -> str:
    """The text that asks the model for an answer to `row`.

    Rows with `apply_chat_template: false` give it ready-made, as `raw_prompt` or a string in `prompt_key`; with
    `add_bos: true` it starts with the token that the tokenizer puts before a text, if it puts one.
    """
    prompt = row.get(prompt_key)
    if row.get("apply_chat_template") is False:
        raw = row.get("raw_prompt")
        text = prompt if raw is None else raw
        if not isinstance(text, str) or not text:
            raise ValueError(f"`apply_chat_template` is false, but neither `raw_prompt` nor `{prompt_key}` is a text: "
                             "give it in `raw_prompt`")
        return _with_bos(tokenizer, text) if row.get("add_bos") else text
    return render(tokenizer, as_messages(prompt, prompt_key), True, template_kwargs)


def _with_bos(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    bos = tokenizer.bos_token
    if not bos or text.startswith(bos) or tokenizer("")["input_ids"][:1] != [tokenizer.bos_token_id]:
        return text
    return bos + text


def _describe(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return "missing"
    return "an empty list" if value == [] else f"of type {type(value).__name__}"
