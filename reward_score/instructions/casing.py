"""Language, letter case and forbidden punctuation: what holds for every character of a response."""

from reward_score.instructions.language import LanguageCode, is_language
from reward_score.instructions.registry import instruction


@instruction("language:response_language")
def response_language(text: str, *, language: LanguageCode) -> bool:
    """Your ENTIRE response should be in X. (IFEval judges the whole by langdetect, which is random without a seed.)"""
    return is_language(text, language)


@instruction("change_case:english_capital")
def english_capital(text: str) -> bool:
    """Your entire response should be in English, and in all capital letters."""
    return text.isupper() and is_language(text, LanguageCode("en"))


@instruction("change_case:english_lowercase")
def english_lowercase(text: str) -> bool:
    """Your entire response should be in English, and in all lowercase letters."""
    return text.islower() and is_language(text, LanguageCode("en"))


@instruction("punctuation:no_comma")
def no_comma(text: str) -> bool:
    """Refrain from the use of any commas, those of other scripts included."""
    return not any(comma in text for comma in ",\u060c\u3001\uff0c")


@instruction("punctuation:punctuation_dot")
def punctuation_dot(text: str) -> bool:
    """Refrain from the use of dots, as punctuation and in general."""
    return not any(dot in text for dot in ".\u2026\uff0e")


@instruction("punctuation:punctuation_exclamation")
def punctuation_exclamation(text: str) -> bool:
    """Refrain from the use of exclamation marks, as punctuation and in general."""
    return not any(mark in text for mark in "!\u00a1\uff01")
