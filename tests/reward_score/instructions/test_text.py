import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_score.instructions.text import divided, occurrences, paragraphs, sentence_ends, sentences, words


def test_words():
    assert words("Don't use well-known snake_case!") == ["Don't", "use", "well-known", "snake", "case"]
    assert words("मैं घर में हूँ।") == ["मैं", "घर", "में", "हूँ"]
    assert words("- ... * _") == []


@pytest.mark.parametrize(("text", "count"), [
    ("One. Two! Three?", 3),
    ("One... Two?! \"Three.\" (Four.) Five", 5),
    ("Dr. Who met Mrs. Poe at 3.14, e.g. here.", 1),
    ("J. R. R. Tolkien wrote.", 1),
    ("1. First.\n2) Second.", 2),
    ("No full stop\nat all", 1),
    ("**Bold.** Plain.", 2),
    ("你好。再见！", 2),
    ("*** ... !", 0),
    ("One.-Two.", 2),
])
def test_sentences(text, count):
    assert len(sentences(text)) == count


@given(st.text("a .!?\n-\"*"))
def test_every_sentence_has_a_word_and_no_text_is_lost(text):
    assert all(words(sentence) for sentence in sentences(text))
    assert sum(len(words(sentence)) for sentence in sentences(text)) == len(words(text))
    assert all(0 < end <= len(text) for end in sentence_ends(text))


def test_paragraphs_and_dividers():
    assert paragraphs("a\nb\n\n \nc\r\n\r\nd") == ["a\nb", "c", "d"]
    assert divided("a *** b\n* * *\nc***d") == ["a", "b", "c***d"]
    assert divided("***") == []
    assert divided("a\n***\n***\nb") == ["a", "", "b"]


@pytest.mark.parametrize(("text", "keyword", "count"), [
    ("The other the, THE_ the's", "the", 4),
    ("climate\nchange, climate  change", "climate change", 2),
    ("a.b axb", "a.b", 1),
    ("我喜欢咖啡", "咖啡", 1),
    ("C++ c++", "C++", 2),
    ("", "x", 0),
])
def test_occurrences(text, keyword, count):
    assert occurrences(text, keyword) == count
