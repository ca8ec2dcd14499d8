"""Samples of a dataset by stable id: rows of the training schema, or raw problems that become such rows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_preprocess.core.files import read_examples
from data_preprocess.core.row import Row, finish_row, make_row, row_id

PROMPT_KEYS = ("prompt", "problem", "question", "input")
ANSWER_KEYS = ("answer", "ground_truth", "final_answer", "solution")
SUFFIX = "Please output the final answer within \\boxed{}."
MANY = 20  # malformed rows that a message names


@dataclass(frozen=True)
class Sample:
    """`row` is of the training schema; its ground truth is None for a raw problem without answer."""
    id: str
    row: Row
    where: str


@dataclass(frozen=True)
class Malformed:
    """A row that no request can be made of."""
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True)
class RawFormat:
    """How raw problems become rows. None: looked for among the usual names; `data_source` chooses the reward."""
    data_source: str
    prompt_key: str | None = None
    answer_key: str | None = None
    suffix: str = SUFFIX


class Ids:
    """Gives every row its id: `extra_info.id`, else what data_preprocess would call it; copies are numbered `-1`, ...

    The same rows in the same order always get the same ids.
    """

    def __init__(self) -> None:
        self._copies: Counter[str] = Counter()
        self._seen: set[str] = set()

    def name(self, row: Mapping[str, object]) -> str:
        """The id of the next row."""
        given = (row.get("extra_info") or {}).get("id")
        if given is not None:
            return str(given)
        truth = (row.get("reward_model") or {}).get("ground_truth")
        name = row_id({"data_source": row.get("data_source"), "prompt": row.get("prompt"),
                       "reward_model": {"ground_truth": truth}})  # yapf: disable
        self._copies[name] += 1
        return name if self._copies[name] == 1 else f"{name}-{self._copies[name] - 1}"

    def unique(self, row: Mapping[str, object]) -> str:
        """The same; ValueError if the row says an id that another one has."""
        name = self.name(row)
        if name in self._seen:
            raise ValueError(f"extra_info.id {name!r} belongs to an earlier row too")
        self._seen.add(name)
        return name


def is_training_row(example: Mapping[str, object]) -> bool:
    """Whether the row has the columns that training reads."""
    return "reward_model" in example and "prompt" in example


def open_dataset(names: Sequence[str],
                 split: str = "train",
                 config: str | None = None) -> Iterator[tuple[str, int, dict]]:
    """(file or hub id, number from 0, example) of files, folders or hub ids, in order.

    Raises:
        ValueError: there is no such file or dataset.
    """
    for name in names:
        for number, example in enumerate(_examples(name, split, config)):
            yield name, number, example


def read_samples(names: Sequence[str],
                 raw: RawFormat,
                 split: str = "train",
                 config: str | None = None) -> Iterator[Sample | Malformed]:
    """Every row, in order, as what it is."""
    ids = Ids()
    for name, number, example in open_dataset(names, split, config):
        where = f"{name}, row {number}"
        try:
            row = _checked(example) if is_training_row(example) else _raw_row(example, raw, split, number)
            _check_prompt(row)
            sample = Sample(ids.unique(row), row, where)
        except ValueError as error:
            yield Malformed(where, str(error))
        else:
            yield sample


def refuse(malformed: Sequence[Malformed]) -> None:
    """Raises ValueError that names the rows, if there are any."""
    if malformed:
        more = f"\n... and {len(malformed) - MANY} more" if len(malformed) > MANY else ""
        named = "\n".join(map(str, malformed[:MANY]))
        raise ValueError(f"{len(malformed)} rows are malformed:\n{named}{more}\nmend them, or leave them out with "
                         "--skip-malformed")


def _examples(name: str, split: str, config: str | None) -> Iterable[dict]:
    path = Path(name).expanduser()
    if path.exists() or path.suffix in (".parquet", ".arrow", ".json", ".jsonl", ".csv"):
        return read_examples(path)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ValueError(f"{name}: there is no such file or folder")
    try:
        import datasets
    except ImportError:
        raise ValueError(f"{name} is no file here, and reading it from the hub needs: pip install -e .[data]") from None
    try:
        return datasets.load_dataset(name, config, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ValueError(f"{name} is no file here and cannot be read from the hub: {error}") from error


def _raw_row(example: Mapping[str, object], raw: RawFormat, split: str, number: int) -> Row:
    prompt = example.get(_key(example, raw.prompt_key, PROMPT_KEYS, "--prompt-key"))
    answer_key = raw.answer_key or next((key for key in ANSWER_KEYS if key in example), None)
    if raw.answer_key and raw.answer_key not in example:
        raise ValueError(f"there is no column {raw.answer_key!r} (--answer-key) among {', '.join(example)}")
    truth = example[answer_key] if answer_key else None
    if answer_key and (truth is None or truth == ""):
        raise ValueError(f"its {answer_key} is empty")
    if isinstance(prompt, str) and prompt.strip() and raw.suffix:
        prompt = f"{prompt} {raw.suffix}"
    if not isinstance(prompt, str | list):
        raise ValueError(f"its prompt is {type(prompt).__name__}, neither a text nor messages")
    truth = truth if truth is None or isinstance(truth, str) else str(truth)
    return finish_row(make_row(raw.data_source, prompt, truth, raw.data_source.split("__")[0]), split, number)


def _key(example: Mapping[str, object], given: str | None, usual: Sequence[str], flag: str) -> str:
    key = given or next((key for key in usual if key in example), None)
    if key is None or key not in example:
        raise ValueError(f"no column is {given or ' or '.join(usual)}, there are {', '.join(example)}; name it: {flag}")
    return key


def has_truth(row: Mapping[str, object]) -> bool:
    """Whether a reward can score answers to the row."""
    reward_model, source = row.get("reward_model"), row.get("data_source")
    return isinstance(source, str) and isinstance(reward_model,
                                                  Mapping) and reward_model.get("ground_truth") is not None


def _checked(row: Row) -> Row:
    if not has_truth(row):
        raise ValueError("there is no data_source, or no reward_model.ground_truth")
    if not isinstance(row.get("extra_info") or {}, Mapping):
        raise ValueError("its extra_info is no object")
    return row


def _check_prompt(row: Row) -> None:
    if row.get("apply_chat_template") is False and isinstance(row.get("raw_prompt"), str) and row["raw_prompt"]:
        return
    prompt = row["prompt"]
    if isinstance(prompt, str) and prompt.strip():
        return
    if not isinstance(prompt, list) or not prompt:
        raise ValueError("its prompt is neither a text nor a list of messages")
    for number, message in enumerate(prompt):
        if not isinstance(message, Mapping) or not all(isinstance(message.get(k), str) for k in ("role", "content")):
            raise ValueError(f"prompt[{number}] is no message of role and content")
        if not message["content"].strip():
            raise ValueError(f"prompt[{number}].content is empty")
