"""Drops rows whose prompt came before."""

import hashlib
import re
import unicodedata
from collections import Counter

Row = dict[str, object]
MODES = ("exact", "normalized", "off")
_NOT_A_WORD = re.compile(r"[\W_]+")


class Duplicates:
    """Remembers prompts (16 bytes each) and counts them.

    Args:
        mode: "exact", "normalized" (letters and digits only, in lower case) or "off".
    """

    def __init__(self, mode: str = "exact") -> None:
        if mode not in MODES:
            raise ValueError(f"--dedupe {mode}: take one of {', '.join(MODES)}")
        self.mode = mode
        self._seen: Counter[bytes] = Counter()

    @property
    def reason(self) -> str:
        return f"duplicate prompt ({self.mode})"

    def copies_before(self, key: bytes) -> int:
        """How often a key of `prompt_key` came before."""
        self._seen[key] += 1
        return self._seen[key] - 1


def prompt_key(row: Row, mode: str) -> bytes:
    """16 bytes that are equal for duplicates under `mode`."""
    text = "\n".join(message["content"] for message in row["prompt"])
    if mode == "normalized":
        text = _NOT_A_WORD.sub(" ", unicodedata.normalize("NFKC", text).lower()).strip()
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
