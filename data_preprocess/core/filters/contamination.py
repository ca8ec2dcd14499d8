"""Drops rows that share text with a test set."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from data_preprocess.core.files import read_examples

Row = dict[str, object]
_WORD = re.compile(r"\w+")


class ContaminationFilter:
    """Drops rows whose prompt shares `words` consecutive words with a prompt of `files` (datasets, as written here).

    Shorter test prompts are compared as a whole. 13 words is the length of GPT-3's check (arXiv:2005.14165, app. C).
    """

    def __init__(self, files: Sequence[str], words: int = 13) -> None:
        self.files, self.words = tuple(files), words
        _known(self.files, words)  # a bad file is told before any work

    @property
    def reason(self) -> str:
        return f"shares {self.words} words with a test set"

    def check(self, rows: Sequence[Row]) -> list[bool]:
        known = _known(self.files, self.words)
        return [known.isdisjoint(_n_grams(_text(row), self.words)) for row in rows]


@lru_cache(maxsize=1)
def _known(files: tuple[str, ...], words: int) -> frozenset[bytes]:
    return frozenset(gram for file in files for row in read_examples(file) for gram in _n_grams(_text(row), words))


def _text(row: Row) -> str:
    prompt = row.get("prompt")
    return prompt if isinstance(prompt, str) else "\n".join(message["content"] for message in prompt or ())


def _n_grams(text: str, length: int) -> Iterator[bytes]:
    words = _WORD.findall(text.lower())
    for start in range(max(1, len(words) - length + 1)):
        yield hashlib.blake2b(" ".join(words[start:start + length]).encode("utf-8", "surrogatepass"),
                              digest_size=8).digest()
