"""Reads lists, dicts, strings and numbers out of model text: JSON, or Python's literal notation, or a mix of both.

Neither `eval` nor a compiler sees the text: one pass over its tokens, with limits on its length and nesting.
"""

import json
import re

MAX_LENGTH = 200_000  # characters; a 30 x 30 grid has 3,000
MAX_DEPTH = 20

_TOKEN = re.compile(
    r"""\s*+(?:(?P<mark>[\[\]{},:])
    | (?P<string>"(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+')
    | (?P<number>[-+]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][-+]?[0-9]{1,3})?(?![\w.]))
    | (?P<word>true|false|null|NaN|True|False|None)\b
    | (?P<end>$))""", re.VERBOSE | re.DOTALL)
_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\x[0-9a-fA-F]{2}|\\.", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None, "NaN": None}


def parse_literal(text: str) -> object:
    """The value that `text` writes: dict, list, str, int, float, bool or None.

    Raises:
        ValueError: it is no such literal, writes a dict key twice, is too long or nested too deeply.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a literal of {len(text)} characters; at most {MAX_LENGTH} are read")
    tokens = _Tokens(text)
    value = _value(tokens, 0)
    if tokens.kind != "end":
        raise ValueError(f"{tokens.text!r} after the literal")
    return value


def parse_enclosed(text: str | None, brackets: str) -> object | None:
    """The literal from the first opening to the last closing bracket of `text`; None where there is none to be read.

    Words and code fences around it do not matter; a second literal does, since then neither is the answer.

    Args:
        brackets: `"[]"` or `"{}"`.
    """
    text = text or ""
    start, end = text.find(brackets[0]), text.rfind(brackets[1])
    if start < 0:
        return None
    try:
        return parse_literal(text[start:end + 1])
    except ValueError:
        return None


class _Tokens:
    """The token under the cursor, as `kind` and `text`."""

    def __init__(self, source: str) -> None:
        self.source, self.position = source, 0
        self.step()

    def step(self) -> None:
        match = _TOKEN.match(self.source, self.position)
        if match is None:
            raise ValueError(f"no literal at character {self.position}")
        self.kind = match.lastgroup
        self.text = match.group(self.kind)
        self.position = match.end()

    def take(self, mark: str) -> bool:
        if self.kind != "mark" or self.text != mark:
            return False
        self.step()
        return True

    def expect(self, mark: str) -> None:
        if not self.take(mark):
            raise ValueError(f"{mark!r} expected before character {self.position}")


def _value(tokens: _Tokens, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if tokens.take("["):
        return _list(tokens, depth)
    if tokens.take("{"):
        return _dict(tokens, depth)
    kind, text = tokens.kind, tokens.text
    if kind not in ("string", "number", "word"):
        raise ValueError(f"a value expected before character {tokens.position}")
    tokens.step()
    if kind == "string":
        return _ESCAPE.sub(_unescape, text[1:-1])
    if kind == "word":
        return _WORDS[text]
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _list(tokens: _Tokens, depth: int) -> list:
    items = []
    while not tokens.take("]"):
        items.append(_value(tokens, depth + 1))
        if not tokens.take(","):
            tokens.expect("]")
            break
    return items


def _dict(tokens: _Tokens, depth: int) -> dict:
    items = {}
    while not tokens.take("}"):
        key = _value(tokens, depth + 1)
        tokens.expect(":")
        if isinstance(key, list | dict) or key in items:
            raise ValueError(f"dict key {key!r} is no key, or written twice")
        items[key] = _value(tokens, depth + 1)
        if not tokens.take(","):
            tokens.expect("}")
            break
    return items


def _unescape(match: re.Match) -> str:
    escape = match.group()
    if escape[1] == "u" and len(escape) > 2:  # several: two may be the halves of one character
        return json.loads(f'"{escape}"').encode(errors="replace").decode()
    if escape[1] == "x" and len(escape) > 2:
        return chr(int(escape[2:], 16))
    return _ESCAPED.get(escape[1], escape[1])
