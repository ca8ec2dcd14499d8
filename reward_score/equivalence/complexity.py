r"""Tells from the text alone whether computer algebra could run away with it.

SymPy evaluates what it is given: `9^{9^{9}}`, `(1+x)^{100000}` or `\binom{10^6}{x}` never end. The limits below let
through what it finishes within a second or so; what slips past them meets the deadline of `reward_score.pool`.
"""

import re

MAX_LENGTH = 1000  # characters
MAX_DEPTH = 12  # nested brackets; the LaTeX parser slows down with each
MAX_EXPONENT = 100_000  # of a number or a single symbol, and of a chain like ((2^9)^9)^9
MAX_GROUP_EXPONENT = 100  # of a bracketed expression with symbols in it, which gets expanded
MAX_CHAIN_WITH_SYMBOLS = 1_000  # (x+1)^{50}(y+1)^{50} is 2,500
MAX_FACTORIAL = 10_000
MAX_BINOMIAL = 3_000
MAX_BARS = 12  # of absolute values; the parser tries every pairing
MAX_UNIONS = 12

_OPERATORS = re.compile(r"\\(?:sum|prod|i*int|oint|lim)(?![a-z])")
_FACTORIAL = re.compile(r"([0-9]+|[)\]}!])\s*!")
_BINOMIAL = re.compile(r"\\[dt]?binom(.{0,80})")
_UNIONS = re.compile(r"\\(?:bigcup|cup|cap|setminus)(?![a-z])")
_GAMMA = re.compile(r"\\Gamma(.{0,80})")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_COMMAND = re.compile(r"\\[a-zA-Z]+")


def too_complex(text: str) -> str:
    """Why `text` (LaTeX, or a formula with `**` or `^`) must not be evaluated; empty if it may."""
    text = re.sub(r"\s*\^\s*", "^", text.replace("**", "^"))
    if len(text) > MAX_LENGTH:
        return f"longer than {MAX_LENGTH} characters"
    if _depth(text) > MAX_DEPTH:
        return f"brackets nested deeper than {MAX_DEPTH}"
    if _OPERATORS.search(text):
        return "unevaluated sum, product, integral or limit"
    if text.count("|") > MAX_BARS or len(_UNIONS.findall(text)) > MAX_UNIONS:
        return f"more than {MAX_BARS} bars or {MAX_UNIONS} unions"
    return _large_factorial(text) or _large_binomial(text) or _large_power(text)


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _large_factorial(text: str) -> str:
    for base in _FACTORIAL.findall(text):
        if not base.isdigit():
            return "factorial of an expression"
        if float(base) > MAX_FACTORIAL:
            return f"factorial above {MAX_FACTORIAL}"
    for argument in _GAMMA.findall(text):
        if "^" in argument or any(float(number) > MAX_FACTORIAL for number in _NUMBER.findall(argument)):
            return f"gamma function above {MAX_FACTORIAL}"
    return ""


def _large_binomial(text: str) -> str:
    for arguments in _BINOMIAL.findall(text):
        if "^" in arguments or any(float(number) > MAX_BINOMIAL for number in _NUMBER.findall(arguments)):
            return f"binomial coefficient above {MAX_BINOMIAL}"
        if _has_symbol(arguments) and _product(arguments) > MAX_GROUP_EXPONENT:
            return "binomial coefficient of a symbol"
    return ""


def _large_power(text: str) -> str:
    inner, chain = 1.0, 1.0  # largest exponent of a single token; product of those on brackets, which multiply it
    limit = MAX_CHAIN_WITH_SYMBOLS if _has_symbol(text) else MAX_EXPONENT
    for match in re.finditer(r"\^", text):
        exponent = _group(text, match.end())
        size = _product(exponent)
        on_bracket = text[:match.start()].endswith((")", "]", "}"))
        if "^" in exponent and (not _has_symbol(exponent) or "^" in _group(exponent, exponent.index("^") + 1)):
            return "tower of powers"
        if "!" in exponent or size > MAX_EXPONENT:
            return f"exponent above {MAX_EXPONENT}"
        if on_bracket and _has_symbol(text) and size > MAX_GROUP_EXPONENT:
            return f"expression to a power above {MAX_GROUP_EXPONENT}"
        if on_bracket and size >= 10:
            chain *= size
        elif not on_bracket:
            inner = max(inner, size)
    return f"powers of powers above {limit}" if chain > 1 and chain * inner > limit else ""


def _group(text: str, start: int) -> str:
    """The exponent at `start`: one token, bracketed group or command with its arguments, and what is raised on it."""
    depth, end = 0, start
    while end < len(text):
        depth += (text[end] in "([{") - (text[end] in ")]}")
        if depth < 0:
            break
        end += 1
        follows = text[end:end + 1]
        goes_on = follows.isalnum() or follows in (".", "^") or (follows == "{" and text[start] == "\\")
        if depth == 0 and not goes_on and text[end - 1] not in "^+-\\":
            break
    return text[start:end]


def _product(text: str) -> float:
    product = 1.0
    for number in _NUMBER.findall(text):
        product *= max(float(number), 1.0)
    return product


def _has_symbol(text: str) -> bool:
    """Whether a letter is left once LaTeX commands are taken out."""
    return re.search("[a-zA-Z]", _COMMAND.sub("", text)) is not None
