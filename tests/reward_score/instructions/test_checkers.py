"""Every instruction id: texts that follow it and texts that do not, some of which published checkers get wrong."""

import pytest

import reward_score.instructions  # noqa: F401 -- registers the checkers
from reward_score.instructions.registry import holds, known_instructions, read_arguments
from tests.support.timing import computes_within

WORD_3 = {"keyword": "the", "frequency": 3, "relation": "at least"}
NTH = {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"}
PROMPT = {"prompt_to_repeat": "Write a Poem."}
PHRASE = {"phrase": "time flies when having fun", "small_n": 2}

# id: (kwargs, texts that follow, texts that do not)
TABLE = {
    "keywords:existence": ({
        "keywords": ["Rain", "C++"]
    }, ["In the rain, C++ compiles."], ["The rain.", "Rainy C++", "C++ and train"]),
    "keywords:frequency": (WORD_3, ["The cat, the dog, THE end"], ["the other mother, the end", "The the"]),
    "keywords:forbidden_words": ({
        "forbidden_words": ["red", "dark blue"]
    }, ["A redder hundred in blue"], ["Red!", "(red)", "Dark\nblue", "_red_"]),
    "keywords:letter_frequency": ({
        "letter": "#",
        "let_frequency": 2,
        "let_relation": "less than"
    }, ["one #"], ["# and #"]),
    "letters:letter_counting2": ({
        "letter": "E",
        "let_frequency": 2,
        "let_relation": "at least"
    }, ["Eve"], ["ev"]),
    "language:response_language": ({
        "language": "es"
    }, ["El gato está en la casa y no quiere salir."], [
        "The cat is in the house and does not want to leave.",
        "O gato está em casa e não quer sair com uma chuva dessas.",
        "El gato está en la casa y no quiere salir.\n\n" + "The cat is in the house and it will not go. " * 3,
        "猫在家里。",
    ]),
    "length_constraints:number_sentences": ({
        "num_sentences": 2,
        "relation": "less than"
    }, ["Dr. Who met J. R. Doe, e.g. here.", "1. one"], ["One. Two.", "One! And two", "一。二。"]),
    "length_constraints:number_paragraphs": ({
        "num_paragraphs": 2
    }, ["One\n***\nTwo",
        "***\nOne *** Two\n* * *"], ["One", "One\n***\n***\nTwo", "***One*** and\n\nTwo", "A\n***\nB\n***\nC"]),
    "length_constraints:number_words": ({
        "num_words": 4,
        "relation": "at least"
    }, ["Don't be a well-known"], ["Don't! be - well-known", "एक में हैं"]),
    "length_constraints:nth_paragraph_first_word":
        (NTH, ["First.\n\n\"Then, we go", "A\n\n\n\nThen b"], ["First.\n\nAnd then", "Then\n\nNow", "A\n\nThen\n\nC"]),
    "detectable_content:number_placeholders": ({
        "num_placeholders": 2
    }, ["Dear [name], of [your city]"], ["Dear [name], []", "[ ] [a\nb] [c]"]),
    "detectable_content:postscript": ({
        "postscript_marker": "P.S."
    }, ["Bye.\nP.S. One more", "Bye.\n\n**p. s.** again"], ["P.S. all of it", "Bye.\nP.S.", "Bye. P.P.S. more", "Bye"]),
    "detectable_format:number_bullet_lists": ({
        "num_bullets": 2
    }, ["* a\n  - **b**", "---\n* a\n* b\n***"], ["* a", "* a\n* b\n* c", "-5 and\n-6", "**a**\n**b**"]),
    "detectable_format:constrained_response": ({}, ["My answer is no.", "Well. My answer is yes."],
                                               ["no", "My answer is no. My answer is yes.", "My answer is no"]),
    "detectable_format:number_highlighted_sections": ({
        "num_highlights": 2
    }, ["*a* and **b c**", "***x*** *y*"], ["**bold**", "* a\n* b\n* c", "2 * 3 * 4 * 5", "****"]),
    "detectable_format:multiple_sections": ({
        "section_spliter": "Section",
        "num_sections": 2
    }, ["Section 1\nx\n## Section 2: y",
        "**Section 1**\nx\nSection 3"], ["In Section 1 and Section 2", "Section 1\nSection 1", "SECTION 1\nSECTION 2"]),
    "detectable_format:json_format":
        ({}, ['{"a": [1]}', "```json\n[1, 2]\n```",
              "```\n{}\n```"], ['"text"', "42", "{'a': 1}", 'So: {"a": 1}', '```json\n{"a": 1', "[" * 100_000, "NaN"]),
    "detectable_format:title": ({}, ["<<Poem of joy>>\nJoy"], ["<Poem>", "<<>>", "<< >>", "<<a\nb>>"]),
    "combination:two_responses": ({}, ["One\n******\nTwo", "******\nOne ****** Two"],
                                  ["One", "One ****** one", "A ****** B ****** C", "One *** Two", "A ****** ****** B"]),
    "combination:repeat_prompt":
        (PROMPT, ["write a poem.\nRoses"], ["Roses", "Write a Poem.", "Sure! Write a Poem. Roses"]),
    "startend:end_checker": ({
        "end_phrase": "Any questions?"
    }, ["Done. any questions?", '"Done. Any questions?"'], ["Any questions? No.", "Any questions"]),
    "change_case:capital_word_frequency": ({
        "capital_frequency": 2,
        "capital_relation": "at least"
    }, ["A WELL-KNOWN cat"], ["WELL-KNOWN", "Every Word"]),
    "change_case:english_capital": ({}, ["THIS IS ALL OF IT."], ["THIS IS NOt", "DAS IST NICHT DIE SPRACHE", "123"]),
    "change_case:english_lowercase": ({}, ["this is all of it.",
                                           "hello world"], ["This is", "das ist nicht die sprache"]),
    "punctuation:no_comma": ({}, ["One and two"], ["One, two", "一，二"]),
    "startend:quotation": ({}, ['"All of it"', "\u201cCurly\u201d"], ['"', '""', '"Half', 'He said "x"']),
    "copy:repeat_phrase": (PHRASE, ["Time runs when having fun; time flies when losing fun"], [
        "Time runs when having fun",
        "time flies when having fun time flies when having fun",
        "time flies when having fun. Time runs when having fun; time flies when losing fun",
        "time runs when losing fun; time stops when losing fun",
    ]),
    "copy:copy": (PROMPT, ["Write a Poem.", "WRITE A POEM.\n"], ["Write a Poem. Roses", "Write a poem"]),
    "copy:copying_simple": (PROMPT, ["Write a Poem."], ["Roses"]),
    "copy:copying_multiple": (PROMPT | {
        "N": 2
    }, ["Write a Poem.\n******\nWrite a Poem."], ["Write a Poem.", "Write a Poem. Write a Poem.", "a ****** a"]),
    "new:copy_span_idx": (PROMPT | {
        "n_start": 0,
        "n_end": 4
    }, ["Write"], ["Writ", "Write a"]),
    "detectable_format:sentence_hyphens": ({}, ["One.-Two!-Three.",
                                                "Dr. Who"], ["One. Two.", "One.- Two.", "One.-Two. Three."]),
    "keywords:no_adjacent_consecutive": ({}, ["big apple", "1 2 cat"], ["a big", "An odd (Bear) can"]),
    "detectable_format:square_brackets":
        ({}, ["[Hello], [big] [world]!"], ["[Hello] world", "[Hello world]", "[]", "Hello"]),
    "keywords:word_once": ({
        "keyword": "art"
    }, ["Art of parts"], ["parts", "art, art"]),
    "keywords:word_count_different_numbers": (WORD_3, ["the the The"], ["the", "the the the the"]),
    "keywords:exclude_word_harder": ({
        "keyword": "rain"
    }, ["The train"], ["Rain.", "the rain", "in\nrain\n"]),
    "paragraphs:paragraphs": ({}, ["One\n***\nTwo"], ["One\n\nTwo", "One"]),
    "paragraphs:paragraphs2": ({}, ["One\n\nTwo", "One\n \n\nTwo"], ["One\nTwo", "A\n\nB\n\nC"]),
    "first_word:first_word_sent": ({
        "first_word": ["Cats"]
    }, ["Cats purr. \"Cats, they sleep!\""], ["Cats purr. Dogs bark.", "..."]),
    "first_word:first_word_answer": ({
        "first_word": "well"
    }, ["Well, yes"], ["Wells", "Oh well"]),
    "last_word:last_word_sent": ({
        "last_word": "cat"
    }, ["My cat. Your **cat**!"], ["My cat. Your dog.", "cats."]),
    "last_word:last_word_answer": ({
        "last_word": "brief"
    }, ["It is (brief).", "brief"], ["brief it is", "debrief"]),
    "detectable_format:bigram_wrapping":
        ({}, ["<<I am>> <<at home>>", "<<I am>>, <<here>>",
              "<<I am>> here."], ["I am", "one", "<<I am>> at home", "<<I am at>> <<home now>>", "<<I>> <<am at>>"]),
    "punctuation:punctuation_dot": ({}, ["Yes! No?"], ["3.14", "Yes.", "Well\u2026"]),
    "punctuation:punctuation_exclamation": ({}, ["Yes."], ["Yes!", "\uff01"]),
    "count:lowercase_counting": ({
        "N": 1
    }, ["Only one WORD"], ["now two"]),
    "letters:letter_counting": ({
        "N": 3,
        "relation": "at least"
    }, ["a1b2é"], ["a, b 12345"]),
    "count:counting_composition": ({
        "n_sent": 2,
        "n_words": 2
    }, ["So it. Is it?\n* * *\nSo it. Is it.\n***\nSo it! Is it"],
                                   ["So it. Is it.", "So it. Is.\n***\nSo it. Is it.\n***\nSo it. Is it."]),
    "count:count_unique": ({}, ["One. Two. Three, four."], ["The cat, the dog", "..."]),
    "count:count_increment_word": ({
        "keyword1": "cat",
        "keyword2": "dog"
    }, ["Cat and dog and dog"], ["cat dog", "cat cat dog dog", "cats dog dog"]),
    "keywords:palindrome": ({}, ["A kayak.", "A man, a plan, a canal: Panama!",
                                 'Say "never odd or even".'], ["I a - x", "www"]),
    "keywords:keyword_specific_position": ({
        "keyword": "home",
        "n": 2.0,
        "m": 3.0
    }, ["I am. We (go) Home now."], ["I am. We go", "Home. home, home now", "We go home. No."]),
    "keywords:start_end": ({}, ["Rain is rain", "\"So\" be it so"], ["Rain is rain.", "rain", "Rain is sun"]),
}


@pytest.mark.parametrize("name", TABLE)
def test_follows_or_not(name):
    row, right, wrong = TABLE[name]
    arguments = read_arguments(name, row)
    assert [text for text in right if not holds(name, text, arguments)] == []
    assert [text for text in [*wrong, "", " \n"] if holds(name, text, arguments)] == []


def test_the_table_has_every_instruction():
    assert sorted(TABLE) == known_instructions()
    assert len(TABLE) == 54


HOSTILE = ["a", " ", "\n", " \n", ".", "..x", "a. ", "*", "*a", "* a\n", "[", "[a", "<", '."', "P.", "a-", "#", "```"]


@pytest.mark.parametrize("name", TABLE)
def test_time_is_linear(name):
    arguments = read_arguments(name, TABLE[name][0])
    with computes_within(5.0):  # a quadratic pattern takes minutes
        for piece in HOSTILE:
            holds(name, f"x{piece * (100_000 // len(piece))}x", arguments)
