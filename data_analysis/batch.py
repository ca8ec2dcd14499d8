"""Lines of OpenAI's batch format: requests and answers."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_analysis.journal import read_journal

if TYPE_CHECKING:
    from data_analysis.samples import Sample

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"


@dataclass(frozen=True)
class Task:
    """The `sample`-th answer to a request."""
    custom_id: str
    sample: int
    url: str
    body: dict

    @property
    def key(self) -> tuple[str, int]:
        return self.custom_id, self.sample


@dataclass(frozen=True)
class Answer:
    """`text` is None where the model refused the request, for the reason `error`."""
    custom_id: str
    sample: int
    text: str | None
    error: str = ""

    @property
    def key(self) -> tuple[str, int]:
        return self.custom_id, self.sample


def make_request(sample: "Sample", options: dict) -> dict:
    """The line that asks for one answer; `options` are model, temperature, max_tokens, ..."""
    row = sample.row
    if row.get("apply_chat_template") is False and row.get("raw_prompt"):
        url, body = TEXT, {"prompt": row["raw_prompt"]}
    else:
        prompt = row["prompt"]
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        kept = [{key: value for key, value in message.items() if value is not None} for message in messages]
        url, body = CHAT, {"messages": kept}
    return {"custom_id": sample.id, "method": "POST", "url": url, "body": options | body}


def read_tasks(path: Path, n: int) -> list[Task]:
    """`n` for each line; the answers of one request are neighbours. Raises ValueError that names a malformed line."""
    tasks = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                request = json.loads(line)
                fields = request["custom_id"], request["url"], request["body"]
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}, line {number} is no batch request ({error!r}): split the dataset again") \
                    from error
            tasks += [Task(fields[0], sample, *fields[1:]) for sample in range(n)]
    return tasks


def make_answer(task: Task, text: str, finish_reason: str, tokens: int) -> dict:
    """A line of answers."""
    part = {"text": text} if task.url == TEXT else {"message": {"role": "assistant", "content": text}}
    body = {"choices": [{"index": 0, **part, "finish_reason": finish_reason}], "usage": {"completion_tokens": tokens}}
    return _line(task, {"status_code": 200, "body": body}, None)


def make_refusal(task: Task, status: int, message: str) -> dict:
    """The line of a request that the model will never answer, such as one that is too long."""
    return _line(task, None, {"code": str(status), "message": message[:2000]})


def read_answers(paths: Iterable[Path]) -> Iterator[Answer]:
    """Answers in order, each once."""
    seen = set()
    for path in paths:
        for line in read_journal(path):
            answer = _answer(line)
            if answer.key not in seen:
                seen.add(answer.key)
                yield answer


def _line(task: Task, response: dict | None, error: dict | None) -> dict:
    return {"custom_id": task.custom_id, "sample": task.sample, "response": response, "error": error}


def _answer(line: dict) -> Answer:
    key = line["custom_id"], line["sample"]
    if line.get("error"):
        return Answer(*key, None, line["error"]["message"])
    choice = line["response"]["body"]["choices"][0]
    return Answer(*key, (choice["message"]["content"] if "message" in choice else choice["text"]) or "")
