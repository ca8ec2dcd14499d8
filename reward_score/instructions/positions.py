"""Where something stands: first and last words, endings, postscripts; `first_word:*`, `last_word:*`, `startend:*`."""

import re

from reward_score.instructions.registry import instruction
from reward_score.instructions.text import folded_words, sentences


@instruction("first_word:first_word_answer")
def first_word_answer(text: str, *, first_word: str) -> bool:
    """The first word of your response should be X. (Punctuation after it is allowed; IFBench forbids it.)"""
    wanted = folded_words(first_word)
    return folded_words(text)[:len(wanted)] == wanted


@instruction("first_word:first_word_sent")
def first_word_sent(text: str, *, first_word: str) -> bool:
    """The first word of each sentence should be X."""
    return all(first_word_answer(sentence, first_word=first_word) for sentence in sentences(text) or [""])


@instruction("last_word:last_word_answer")
def last_word_answer(text: str, *, last_word: str) -> bool:
    """The last word of your response should be X."""
    wanted = folded_words(last_word)
    return folded_words(text)[-len(wanted):] == wanted


@instruction("last_word:last_word_sent")
def last_word_sent(text: str, *, last_word: str) -> bool:
    """The last word of each sentence, before punctuation, should be X."""
    return all(last_word_answer(sentence, last_word=last_word) for sentence in sentences(text) or [""])


@instruction("keywords:start_end")
def start_end(text: str) -> bool:
    """Start and end with the same word; nothing after the last one, not even punctuation."""
    found = folded_words(text)
    return len(found) > 1 and found[0] == found[-1] and text[-1].isalnum()


@instruction("startend:end_checker")
def end_checker(text: str, *, end_phrase: str) -> bool:
    """Finish your response with this exact phrase, in any case; only a closing quotation mark may follow."""
    return text.rstrip('"\u201d \n').lower().endswith(end_phrase.strip().rstrip('"\u201d \n').lower())


@instruction("startend:quotation")
def quotation(text: str) -> bool:
    """Wrap your entire response with double quotation marks, straight or curly."""
    return text[0] in '"\u201c' and text[-1] in '"\u201d' and bool(text[1:-1].strip('"\u201c\u201d \n'))


@instruction("detectable_content:postscript")
def postscript(text: str, *, postscript_marker: str) -> bool:
    """At the end of your response, add a postscript starting with P.S. (or P.P.S).

    Something must stand before and after the last marker; IFEval takes a marker alone, and a P.P.S. for a P.S.
    """
    parts = [re.escape(part) for part in re.split(r"(?<=\.)\s*", postscript_marker.strip()) if part]
    marker = re.compile(r"(?<![\w.])" + r"\s?".join(parts), re.IGNORECASE)
    found = list(marker.finditer(text))
    return bool(found) and found[-1].start() > 0 and bool(re.search(r"[^\W_]", text[found[-1].end():]))
