"""`length_constraints:*`, `paragraphs:*`: how many words, sentences, paragraphs."""

from reward_score.instructions.registry import Relation, compare, instruction
from reward_score.instructions.text import divided, folded_words, paragraphs, sentences, words


@instruction("length_constraints:number_words")
def number_words(text: str, *, num_words: int, relation: Relation) -> bool:
    """Answer with {at least, less than} N words. (IFEval counts `don't` and `well-known` as two, here they are one.)"""
    return compare(len(words(text)), relation, num_words)


@instruction("length_constraints:number_sentences")
def number_sentences(text: str, *, num_sentences: int, relation: Relation) -> bool:
    """Your response should contain {at least, less than} N sentences."""
    return compare(len(sentences(text)), relation, num_sentences)


@instruction("length_constraints:number_paragraphs")
def number_paragraphs(text: str, *, num_paragraphs: int) -> bool:
    """There should be N paragraphs, separated with the markdown divider `***`."""
    parts = divided(text)
    return len(parts) == num_paragraphs and all(parts)


@instruction("paragraphs:paragraphs")
def two_divided_paragraphs(text: str) -> bool:
    """There should be 2 paragraphs, separated with the markdown divider `***`."""
    return number_paragraphs(text, num_paragraphs=2)


@instruction("paragraphs:paragraphs2")
def two_paragraphs(text: str) -> bool:
    """There should be 2 paragraphs, separated with each other by two line breaks."""
    return len(paragraphs(text)) == 2


@instruction("length_constraints:nth_paragraph_first_word")
def nth_paragraph_first_word(text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """There should be N paragraphs, separated by two new lines; the n-th must start with word X.

    IFEval counts only filled paragraphs, yet looks for the n-th among the empty ones too.
    """
    parts = paragraphs(text)
    if len(parts) != num_paragraphs or not 1 <= nth_paragraph <= num_paragraphs:
        return False
    return folded_words(parts[nth_paragraph - 1])[:1] == folded_words(first_word)[:1]
