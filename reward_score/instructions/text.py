"""What a word, a sentence and a paragraph is, for every instruction. One linear pass of a regular expression each."""

import re

# Vowel signs and joiners that belong to words but are not \w: combining, Hebrew, Arabic, Indic, Thai.
_MARKS = ("\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0d7f\u0e31\u0e34-\u0e3a"
          "\u0e47-\u0e4e\u200c\u200d")
_WORD = re.compile(rf"[\w{_MARKS}]+(?:['\u2019-][\w{_MARKS}]+)*")
_NO_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")  # Thai, Chinese ...

_STOPS = ".!?\u2026"
_CLOSERS = "\"'\u201d\u2019)\\]*_>"
_SENTENCE_END = re.compile(rf"[{_STOPS}]"
                           rf"(?<![{_STOPS}][{_STOPS}])"  # the first of a run: `...` is looked at once
                           r"(?<!\b(?i:mr|ms|dr|st|vs|jr)\.)(?<!\b(?i:mrs|inc|ltd)\.)(?<!\b(?i:prof)\.)"
                           r"(?<!\b[A-HJ-Z]\.)(?<!\b[A-Za-z]\.[A-Za-z]\.)"  # J. R. R. Tolkien, e.g.
                           rf"[{_STOPS}]*+[{_CLOSERS}]*+(?=\s|-|\Z)"
                           "|[\u3002\uff01\uff1f\u0964]+[\u201d\u2019\u300d\u300f)]*")
_LIST_NUMBER = re.compile(r"^[ \t]*\d{1,3}[.)](?=\s)", re.MULTILINE)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_DIVIDER = re.compile(r"(?<!\S)(?:\*\*\*|\* \* \*)(?!\S)")
_SIX_STARS = re.compile(r"(?<!\*)\*{6}(?!\*)")


def words(text: str) -> list[str]:
    """Runs of letters, digits and vowel signs; inner apostrophes and hyphens belong to a word, underscores do not.

    `Don't use well-known snake_case!` has five. Scripts written without spaces (Chinese, Thai) give one word per run.
    """
    return _WORD.findall(text.replace("_", " "))


def folded_words(text: str) -> list[str]:
    """`words`, lower case, with straight apostrophes."""
    return words(text.lower().replace("\u2019", "'"))


def sentences(text: str) -> list[str]:
    """Sentences without their full stops.

    A sentence ends at a run of `.!?` (and closing quotes or brackets) before white space, a hyphen or the end, or at a
    Chinese or Devanagari full stop; not after `Mr.`, `e.g.`, initials, or the number of a list item. A line break ends
    none, and what follows the last full stop is a sentence too. A piece without any word is no sentence.
    """
    return [piece.strip() for piece in _SENTENCE_END.split(_LIST_NUMBER.sub("", text)) if _WORD.search(piece)]


def sentence_ends(text: str) -> list[int]:
    """Where each sentence ends: the index behind its full stop."""
    return [match.end() for match in _SENTENCE_END.finditer(text)]


def paragraphs(text: str) -> list[str]:
    """Parts between blank lines."""
    return [piece.strip() for piece in _BLANK_LINE.split(text) if piece.strip()]


def divided(text: str) -> list[str]:
    """Parts between the markdown dividers `***` or `* * *`, which stand alone; empty ones only in the middle."""
    return _without_empty_ends(_DIVIDER.split(text))


def divided_by_six_stars(text: str) -> list[str]:
    """Parts between `******`; empty ones only in the middle."""
    return _without_empty_ends(_SIX_STARS.split(text))


def _without_empty_ends(pieces: list[str]) -> list[str]:
    pieces = [piece.strip() for piece in pieces]
    return pieces[not pieces[0]:len(pieces) - (len(pieces) > 1 and not pieces[-1])]


def occurrences(text: str, keyword: str) -> int:
    """How often a word or phrase stands in a text, as whole words, in any case and with any spacing."""
    keyword = keyword.lower().strip()
    pattern = r"\s+".join(map(re.escape, keyword.split()))
    if not _NO_SPACES.match(keyword[-1]):
        pattern += rf"(?![^\W_]|[{_MARKS}])"
    if not _NO_SPACES.match(keyword[0]):  # looks back behind the first letter, because a search for a letter is fast
        first = re.escape(keyword[0])
        pattern = rf"{first}(?<![^\W_]{first})(?<![{_MARKS}]{first})" + pattern.removeprefix(first)
    return len(re.findall(pattern, text.lower()))
