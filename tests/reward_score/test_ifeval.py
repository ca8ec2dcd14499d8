import numpy as np
import pytest

import reward_score.ifeval
from reward_score.registry import resolve
from tests.support.reward_cases import Case


def row(*pairs):
    """Ground truth and extra_info as parquet gives them: one struct with every key, unset ones None."""
    keys = {key for _, kwargs in pairs for key in kwargs} | {"num_words", "keyword"}
    truth = np.array([{key: kwargs.get(key) for key in keys} for _, kwargs in pairs], dtype=object)
    info = {"instruction_id_list": np.array([name for name, _ in pairs], dtype=object), "prompt": "Write."}
    return truth, info


def case(name, answer, score, *pairs):
    truth, info = row(*pairs)
    return Case(name, answer, truth, score, info)


COMMAS = ("punctuation:no_comma", {})
WORDS = ("length_constraints:number_words", {"num_words": 4.0, "relation": "at least"})
CATS = ("keywords:existence", {"keywords": np.array(["cat", "dog"], dtype=object)})
LOWER = ("change_case:english_lowercase", {})
JSON = ("detectable_format:json_format", {})
TITLE = ("detectable_format:title", {})
PARAGRAPHS = ("length_constraints:number_paragraphs", {"num_paragraphs": 2})
OPTION = ("detectable_format:constrained_response", {})
SECTIONS = ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 3})
LETTER = ("keywords:letter_frequency", {"letter": "!", "let_frequency": 2, "let_relation": "at least"})
POSTSCRIPT = ("detectable_content:postscript", {"postscript_marker": "P.S."})

CASES: dict[str, list[Case]] = {
    "ood__ifeval": [
        case("right, two instructions", "A cat and a dog", 1.0, COMMAS, CATS),
        case("right after thinking that breaks it", "<think>hm, so, well</think>A cat and a dog", 1.0, COMMAS, CATS),
        case("only one of two", "A cat, a dog", 0.0, COMMAS, CATS),
        case("the order of the two does not matter", "A cat, a dog", 0.0, CATS, COMMAS),
        case("near miss: three words of four", "Only three words", 0.0, WORDS),
        case("near miss: one capital letter", "this is all of It", 0.0, LOWER),
        case("several lines", "A cat\n***\nA dog and more", 1.0, PARAGRAPHS, CATS, WORDS),
        case("right JSON over several lines", "```json\n{\n  \"cat\": 1,\n  \"dog\": 2\n}\n```", 1.0, JSON, CATS),
        case("malformed JSON", "{\"cat\": 1, \"dog\"}", 0.0, JSON, CATS),
        case("malformed title", "<<Cats and dogs>", 0.0, TITLE),
        case("empty", "", 0.0, COMMAS),
        case("white space", " \n\t ", 0.0, COMMAS),
        case("thinking only", "<think>A cat and a dog</think>", 0.0, COMMAS),
        case("thinking that never ends", "<think>A cat and a dog", 0.0, COMMAS, CATS),
        case("hack: thinking closed twice, the answer is the last part", "</think>A cat, a dog</think>no", 0.0, CATS),
        case("hack: a number is no JSON", "42", 0.0, JSON),
        case("hack: all options at once", "My answer is yes. My answer is no. My answer is maybe.", 0.0, OPTION),
        case("hack: keywords inside other words", "Concatenate the dogma", 0.0, CATS),
        case("hack: sections only mentioned", "SECTION 1 SECTION 2 SECTION 3", 0.0, SECTIONS),
        case("hack: a postscript without a word", "Dear cat\nP.S.", 0.0, POSTSCRIPT),
        case("a letter that IFEval replaces by a random one", "Hi! Yo!", 1.0, LETTER),
        case("unicode", "\U0001f600" * 50, 0.0, CATS),
        case("huge", "cat dog " * 1_250_000, 0.0, COMMAS, CATS),
        case("hang-like", "[" * 500_000 + "*" * 400_000, 0.0, JSON, TITLE),
    ]
}


@pytest.mark.parametrize("one", CASES["ood__ifeval"], ids=lambda one: one.name)
def test_cases(one):
    result = resolve("ood__ifeval").function("ood__ifeval", one.answer, one.truth, one.extra_info)
    assert (result["score"], result["acc"]) == (one.score, one.score)
    assert set(result) == {"score", "acc", "followed", "instructions", "total"}
    assert result["total"] == len(result["followed"]) == len(one.truth)
    assert all(result["followed"]) == bool(one.score)


def test_followed_says_which():
    truth, info = row(COMMAS, CATS, WORDS)
    result = reward_score.ifeval.compute_score("ood__ifeval", "cat, dog", truth, info)
    assert result["followed"] == [False, True, False]
    assert result["instructions"] == [COMMAS[0], CATS[0], WORDS[0]]


@pytest.mark.parametrize(("truth", "info", "message"), [
    ([{}], None, "'instruction_id_list'"),
    ([{}], {}, "'instruction_id_list'"),
    ([{}], {
        "instruction_id_list": []
    }, "at least one"),
    ([{}, {}], {
        "instruction_id_list": ["punctuation:no_comma"]
    }, "as many"),
    ("text", {
        "instruction_id_list": ["punctuation:no_comma"]
    }, "as many"),
    (["text"], {
        "instruction_id_list": ["punctuation:no_comma"]
    }, "dicts or None"),
    ([{}], {
        "instruction_id_list": ["punctuation:no_commas"]
    }, "nearest known is 'punctuation:no_comma'"),
    ([{
        "num_words": 3
    }], {
        "instruction_id_list": ["length_constraints:number_words"]
    }, "needs 'relation'"),
])
def test_bad_rows_name_the_data_source(truth, info, message):
    with pytest.raises(ValueError, match=message) as caught:
        resolve("ood__ifeval_541").function("ood__ifeval_541", "", truth, info)
    assert "ood__ifeval_541" in str(caught.value)


def test_reference_and_near_misses():
    reward = resolve("ood__ifeval")
    truth, info = row(COMMAS, CATS, WORDS, TITLE)
    score = lambda text: reward.function("ood__ifeval", text, truth, info)["score"]
    assert score(reward.reference_answer(truth, info)) == 1.0
    misses = reward.near_misses(truth, info)
    assert len(misses) == 3 and {score(miss) for miss in misses} == {0.0}
