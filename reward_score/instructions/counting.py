"""How many letters, words in lower or upper case, repetitions; `count:*`, `letters:*`."""

from reward_score.instructions.registry import Relation, compare, instruction
from reward_score.instructions.text import divided, folded_words, sentences, words


@instruction("keywords:letter_frequency", "letters:letter_counting2")
def letter_frequency(text: str, *, letter: str, let_frequency: int, let_relation: Relation) -> bool:
    """The letter X should appear {at least, less than} N times, in either case.

    Any character can be asked for; IFEval replaces `#` or `!` by a random letter.
    """
    return compare(text.lower().count(letter.lower()), let_relation, let_frequency)


@instruction("letters:letter_counting")
def letter_counting(text: str, *, N: int, relation: Relation) -> bool:  # noqa: N803 -- the rows' own key
    """Answer with {at least, less than} N letters."""
    return compare(sum(map(str.isalpha, text)), relation, N)


@instruction("count:lowercase_counting")
def lowercase_counting(text: str, *, N: int) -> bool:  # noqa: N803 -- the rows' own key
    """All lowercase words should appear at most N times."""
    return sum(map(str.islower, words(text))) <= N


@instruction("change_case:capital_word_frequency")
def capital_word_frequency(text: str, *, capital_frequency: int, capital_relation: Relation) -> bool:
    """Words with all capital letters should appear {at least, less than} N times; a hyphenated word is one."""
    return compare(sum(map(str.isupper, words(text))), capital_relation, capital_frequency)


@instruction("count:count_unique")
def count_unique(text: str) -> bool:
    """Only use unique words. (IFBench calls a second full stop a repeated word, and `The` and `the` two words.)"""
    found = folded_words(text)
    return 0 < len(found) == len(set(found))


@instruction("count:counting_composition")
def counting_composition(text: str, *, n_sent: int, n_words: int) -> bool:
    """Three paragraphs, divided by `* * *`, of exactly n_sent sentences with exactly n_words words each.

    IFBench accepts only `***`, which its own prompt does not show, and counts punctuation marks as words.
    """
    parts = [sentences(part) for part in divided(text)]
    return len(parts) == 3 and all(
        len(part) == n_sent and all(len(words(sentence)) == n_words for sentence in part) for part in parts)
