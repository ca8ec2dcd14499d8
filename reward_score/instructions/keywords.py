"""`keywords:*` that ask for, count or forbid words.

IFEval searches keywords as regular expressions, inside words too (`the` in `other`); here a keyword is a whole word.
"""

import string
from itertools import pairwise

from reward_score.instructions.registry import Relation, compare, instruction
from reward_score.instructions.text import folded_words, occurrences, sentences, words

_PUNCTUATION = string.punctuation + string.whitespace + "\u201c\u201d\u2019\u2026"


@instruction("keywords:existence")
def existence(text: str, *, keywords: list[str]) -> bool:
    """Include keywords [...] in the response."""
    return all(occurrences(text, keyword) for keyword in keywords)


@instruction("keywords:forbidden_words")
def forbidden_words(text: str, *, forbidden_words: list[str]) -> bool:
    """Do not include keywords [...] in the response."""
    return not any(occurrences(text, word) for word in forbidden_words)


@instruction("keywords:exclude_word_harder")
def exclude_word_harder(text: str, *, keyword: str) -> bool:
    """Do not include keyword X in the response. (IFBench misses it next to punctuation or a line break.)"""
    return not occurrences(text, keyword)


@instruction("keywords:frequency")
def frequency(text: str, *, keyword: str, frequency: int, relation: Relation) -> bool:
    """The word X should appear {at least, less than} N times."""
    return compare(occurrences(text, keyword), relation, frequency)


@instruction("keywords:word_count_different_numbers")
def word_count_different_numbers(text: str, *, keyword: str, frequency: int) -> bool:
    """The word X should appear N times: exactly. (IFBench checks a `relation` that the prompt never mentions.)"""
    return occurrences(text, keyword) == frequency


@instruction("keywords:word_once")
def word_once(text: str, *, keyword: str) -> bool:
    """Include keyword X in your response: once."""
    return occurrences(text, keyword) == 1


@instruction("count:count_increment_word")
def count_increment_word(text: str, *, keyword1: str, keyword2: str) -> bool:
    """Include keyword X once in your response, keyword Y twice."""
    return occurrences(text, keyword1) == 1 and occurrences(text, keyword2) == 2


@instruction("keywords:keyword_specific_position")
def keyword_specific_position(text: str, *, keyword: str, n: int, m: int) -> bool:
    """Include keyword X in the n-th sentence, as the m-th word. (IFBench counts punctuation marks as words.)"""
    found = sentences(text)[max(n, 1) - 1:][:1]
    wanted = folded_words(keyword)
    return bool(found) and folded_words(found[0])[max(m, 1) - 1:][:len(wanted)] == wanted


@instruction("keywords:no_adjacent_consecutive")
def no_adjacent_consecutive(text: str) -> bool:
    """No two adjacent words can start with consecutive letters of the alphabet (`a big` does, `big a` does not)."""
    initials = [word[0].lower()[0] for word in words(text)]
    return not any(b.isalpha() and a.isalpha() and ord(b) - ord(a) == 1 for a, b in pairwise(initials))


@instruction("keywords:palindrome")
def palindrome(text: str) -> bool:
    """Include a palindrome: a word, sentence, line or quotation of three letters or more, at least two different.

    IFBench takes any one-letter word, `I` or `-`, for a palindrome.
    """
    text = text.lower()
    pieces = [*set(words(text)), *sentences(text), *text.splitlines(), *text.split('"')]
    return any(_is_palindrome(piece.strip(_PUNCTUATION)) for piece in pieces)


def _is_palindrome(piece: str) -> bool:
    if len(piece) < 3 or piece[0] != piece[-1]:
        return False
    letters = "".join(filter(str.isalpha, piece))
    return len(letters) > 2 and letters == letters[::-1] and len(set(letters)) > 1
