"""Responses that follow a list of instructions, and some that just miss one; the doctor scores both on dataset rows.

A draft starts as one sentence and is changed for each instruction in the order of `_CHANGES`: first what to say, then
how much of it, then form, then letter case and punctuation. Some lists of instructions are beyond it (or contradict
each other): then there is no draft.
"""

import json
import re
from collections.abc import Callable, Sequence

from reward_score.instructions.formatting import OPTIONS
from reward_score.instructions.language import sample
from reward_score.instructions.registry import holds
from reward_score.instructions.scoring import Demand
from reward_score.instructions.text import folded_words, sentences, words

_START = "this is so"


def write(demands: Sequence[Demand]) -> str | None:
    """A response that follows all instructions, or None where this module finds none."""
    text = _START
    for name in _CHANGES:
        for demanded, arguments in demands:
            if demanded == name:
                text = _CHANGES[name](text, **arguments)
    return text if all(holds(name, text, arguments) for name, arguments in demands) else None


def near_misses(demands: Sequence[Demand]) -> list[str]:
    """An empty response, one cut while thinking, and a right one with a forbidden thing added."""
    text = write(demands)
    if text is None:
        return ["", "<think>"]
    spoilt = [_SPOILERS[name](text, **arguments) for name, arguments in demands if name in _SPOILERS]
    return ["", f"<think>{text}", *spoilt]


def _least(relation: str, threshold: int) -> int:
    """The smallest count that fits."""
    return {"at least": threshold, "exactly": threshold, "more than": threshold + 1}.get(relation, 0)


def _more(text: str, piece: str, times: int) -> str:
    return f"{text} {' '.join([piece] * times)}".rstrip()


def _place(text: str, keyword: str, n: int, m: int) -> str:
    return " ".join(["Go."] * (n - 1) + ["so"] * (m - 1) + [keyword]) + f". {text}"


def _vary(text: str, phrase: str, small_n: int) -> str:
    first, *rest = phrase.split()
    return f"{text}. " + ", ".join(" ".join([first, f"changed{i}", *rest[1:]]) for i in range(small_n))


def _compose(text: str, n_sent: int, n_words: int) -> str:
    return "\n* * *\n".join([" ".join([" ".join(["So"] * n_words) + "."] * n_sent)] * 3)


def _bigrams(text: str) -> str:
    found = words(text)
    return " ".join(f"<<{' '.join(found[i:i + 2])}>>" for i in range(0, len(found), 2))


def _unique(text: str) -> str:
    return " ".join(dict.fromkeys(folded_words(text)))


def _nth_paragraph(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> str:
    return "\n\n".join([f"{first_word} {text}"] * num_paragraphs)


def _at_sentence_ends(text: str, last_word: str) -> str:
    return " ".join(f"{sentence} {last_word}." for sentence in sentences(text))


def _at_sentence_starts(text: str, first_word: str) -> str:
    return " ".join(f"{first_word} {sentence}." for sentence in sentences(text))


def _in_sections(text: str, section_spliter: str, num_sections: int) -> str:
    return "\n".join([text, *(f"{section_spliter} {i + 1}\nso it is" for i in range(num_sections))])


_CHANGES: dict[str, Callable[..., str]] = {
    "language:response_language":
        lambda text, language: sample(language),
    "copy:copy":
        lambda text, prompt_to_repeat: prompt_to_repeat,
    "copy:copying_simple":
        lambda text, prompt_to_repeat: prompt_to_repeat,
    "copy:copying_multiple":
        lambda text, prompt_to_repeat, N: "\n******\n".join([prompt_to_repeat] * N),
    "new:copy_span_idx":
        lambda text, prompt_to_repeat, n_start, n_end: prompt_to_repeat[n_start:n_end + 1],
    "count:counting_composition":
        _compose,
    "detectable_format:constrained_response":
        lambda text: OPTIONS[0],
    "keywords:existence":
        lambda text, keywords: f"{text} {' '.join(keywords)}",
    "keywords:word_once":
        lambda text, keyword: f"{text} {keyword}",
    "keywords:frequency":
        lambda text, keyword, frequency, relation: _more(text, keyword, _least(relation, frequency)),
    "keywords:word_count_different_numbers":
        lambda text, keyword, frequency: _more(text, keyword, frequency),
    "count:count_increment_word":
        lambda text, keyword1, keyword2: f"{text} {keyword1} {keyword2} {keyword2}",
    "keywords:palindrome":
        lambda text: f"{text} level",
    "keywords:letter_frequency":
        lambda text, letter, let_frequency, let_relation: _more(text, letter, _least(let_relation, let_frequency)),
    "letters:letter_counting2":
        lambda text, letter, let_frequency, let_relation: _more(text, letter, _least(let_relation, let_frequency)),
    "letters:letter_counting":
        lambda text, N, relation: _more(text, "o" * _least(relation, N), 1),
    "copy:repeat_phrase":
        _vary,
    "detectable_content:number_placeholders":
        lambda text, num_placeholders: _more(text, "[name]", num_placeholders),
    "detectable_format:number_highlighted_sections":
        lambda text, num_highlights: _more(text, "*so*", num_highlights),
    "length_constraints:number_words":
        lambda text, num_words, relation: (_more(text, "so",
                                                 _least(relation, num_words) - len(words(text)))),
    "length_constraints:number_sentences":
        lambda text, num_sentences, relation: (_more(text + ".", "So it is.",
                                                     _least(relation, num_sentences) - len(sentences(text)))),
    "keywords:keyword_specific_position":
        _place,
    "first_word:first_word_sent":
        _at_sentence_starts,
    "last_word:last_word_sent":
        _at_sentence_ends,
    "detectable_format:multiple_sections":
        _in_sections,
    "detectable_format:number_bullet_lists":
        lambda text, num_bullets: text + "\n* so it is" * num_bullets,
    "length_constraints:nth_paragraph_first_word":
        _nth_paragraph,
    "paragraphs:paragraphs2":
        lambda text: f"{text}\n\nso it is",
    "paragraphs:paragraphs":
        lambda text: f"{text}\n***\nso it is",
    "length_constraints:number_paragraphs":
        lambda text, num_paragraphs: text + "\n***\nso it is" * (num_paragraphs - 1),
    "change_case:capital_word_frequency":
        lambda text, capital_frequency, capital_relation:
        (_more(text, "SO", _least(capital_relation, capital_frequency))),
    "detectable_format:title":
        lambda text: f"<<a title>>\n{text}",
    "combination:two_responses":
        lambda text: f"{text}\n******\n{text} indeed",
    "first_word:first_word_answer":
        lambda text, first_word: f"{first_word} {text}",
    "combination:repeat_prompt":
        lambda text, prompt_to_repeat: f"{prompt_to_repeat}\n{text}",
    "detectable_content:postscript":
        lambda text, postscript_marker: f"{text}\n{postscript_marker} so it is",
    "count:count_unique":
        _unique,
    "last_word:last_word_answer":
        lambda text, last_word: f"{text} {last_word}",
    "keywords:start_end":
        lambda text: f"{text} {text.split()[0]}",
    "startend:end_checker":
        lambda text, end_phrase: f"{text}\n{end_phrase}",
    "detectable_format:sentence_hyphens":
        lambda text: re.sub(r"([.!?])\s+", r"\1-", text),
    "detectable_format:square_brackets":
        lambda text: " ".join(f"[{word}]" for word in words(text)),
    "detectable_format:bigram_wrapping":
        _bigrams,
    "punctuation:no_comma":
        lambda text: text.replace(",", ""),
    "punctuation:punctuation_dot":
        lambda text: text.replace(".", ""),
    "punctuation:punctuation_exclamation":
        lambda text: text.replace("!", ""),
    "detectable_format:json_format":
        lambda text: json.dumps({"answer": text}, ensure_ascii=False),
    "startend:quotation":
        lambda text: f'"{text}"',
    "change_case:english_capital":
        lambda text: text.upper(),
    "change_case:english_lowercase":
        lambda text: text.lower(),
    "count:lowercase_counting":
        lambda text, N: text if sum(map(str.islower, words(text))) <= N else text.upper(),
}

_SPOILERS: dict[str, Callable[..., str]] = {
    "punctuation:no_comma": lambda text: f"{text},",
    "punctuation:punctuation_dot": lambda text: f"{text}.",
    "punctuation:punctuation_exclamation": lambda text: f"{text}!",
    "change_case:english_capital": lambda text: f"{text} so",
    "change_case:english_lowercase": lambda text: f"{text} SO",
    "keywords:forbidden_words": lambda text, forbidden_words: f"{text} {forbidden_words[0]}!",
    "keywords:exclude_word_harder": lambda text, keyword: f"{text} {keyword}!",
    "keywords:word_once": lambda text, keyword: f"{text} {keyword}",
    "count:count_unique": lambda text: f"{text} {words(text)[0]}",
    "detectable_format:json_format": lambda text: f"Here you are: {text}",
    "startend:quotation": lambda text: text[1:],
    "startend:end_checker": lambda text, end_phrase: f"{text} indeed",
    "keywords:start_end": lambda text: f"{text}.",
}
