import json

import pytest

import reward_score.ifbench
from reward_score.registry import resolve
from tests.support.reward_cases import Case


def row(*pairs):
    return str([{"instruction_id": [name for name, _ in pairs], "kwargs": [kwargs for _, kwargs in pairs]}])


def case(name, answer, score, *pairs):
    return Case(name, answer, row(*pairs), score)


UNIQUE = ("count:count_unique", None)
HYPHENS = ("detectable_format:sentence_hyphens", None)
LAST = ("last_word:last_word_answer", {"last_word": "brief"})
FIRST = ("first_word:first_word_sent", {"first_word": "cats"})
DOT = ("punctuation:punctuation_dot", None)
ONCE = ("keywords:word_once", {"keyword": "cat"})
EXCLUDE = ("keywords:exclude_word_harder", {"keyword": "rain"})
TIMES = ("keywords:word_count_different_numbers", {"keyword": "cat", "frequency": 2, "relation": "less than"})
PALINDROME = ("keywords:palindrome", None)
SAME = ("keywords:start_end", None)
BIGRAMS = ("detectable_format:bigram_wrapping", None)
COPIES = ("copy:copying_multiple", {"prompt_to_repeat": "Say cat.", "N": 2})
COMPOSE = ("count:counting_composition", {"n_sent": 1, "n_words": 2})
WORDS = ("length_constraints:number_words", {"num_words": 4, "relation": "less than"})

CASES: dict[str, list[Case]] = {
    "ood__ifbench": [
        case("right, two instructions", "Unique words are brief", 1.0, UNIQUE, LAST),
        case("right after thinking that breaks it", "<think>so so so</think>Words are brief", 1.0, UNIQUE, LAST),
        case("only one of two", "Unique words are unique", 0.0, UNIQUE, LAST),
        case("right, three instructions", "Cats purr!-Cats are brief", 1.0, HYPHENS, LAST, FIRST, DOT),
        case("several lines", "So it.\n* * *\nSo it!\n* * *\nIs it?", 1.0, COMPOSE),
        case("copies over several lines", "Say cat.\n******\nSay cat.", 1.0, COPIES),
        case("near miss: one copy too many", "Say cat.\n******\nSay cat.\n******\nSay cat.", 0.0, COPIES),
        case("near miss: a full stop at the end", "Rain is rain.", 0.0, SAME),
        case("near miss: exactly four words", "One two three four", 0.0, WORDS),
        case("malformed brackets", "<<I am> <<at home>>", 0.0, BIGRAMS),
        case("empty", "", 0.0, WORDS),
        case("thinking only", "<think>cat</think>", 0.0, WORDS),
        case("thinking that never ends", "<think>kayak", 0.0, PALINDROME),
        case("hack: the excluded word next to a full stop", "In the rain.", 0.0, EXCLUDE),
        case("hack: a one-letter palindrome", "I am", 0.0, PALINDROME),
        case("hack: one word without brackets", "home", 0.0, BIGRAMS),
        case("hack: spaces hide behind the shorter list", "One. Two. Three.", 0.0, HYPHENS),
        case("the count of the prompt, not the hidden relation", "cat and cat", 1.0, TIMES),
        case("hack: below the hidden relation", "dog", 0.0, TIMES),
        case("a second full stop repeats no word", "One. Two.", 1.0, UNIQUE),
        case("once means once", "Cat and cat", 0.0, ONCE),
        case("code in an answer stays text", "__import__('os').abort()", 1.0, EXCLUDE),
        case("huge", "a" * 10_000_000, 0.0, EXCLUDE, DOT),
        case("hang-like", "<<" * 200_000 + "." * 500_000 + "x", 0.0, BIGRAMS, HYPHENS, PALINDROME),
    ]
}


@pytest.mark.parametrize("one", CASES["ood__ifbench"], ids=lambda one: one.name)
def test_cases(one):
    result = resolve("ood__ifbench").function("ood__ifbench", one.answer, one.truth, None)
    assert (result["score"], result["acc"]) == (one.score, one.score)
    assert set(result) == {"score", "acc", "followed", "instructions", "total"}
    assert all(result["followed"]) == bool(one.score)


def test_every_item_counts_and_formats_agree():
    items = [{"instruction_id": [DOT[0]], "kwargs": [None]}, {"instruction_id": [LAST[0]], "kwargs": [LAST[1]]}]
    for truth in (str(items), json.dumps(items), items):
        result = reward_score.ifbench.compute_score("ood__ifbench", "It is long", truth, None)
        assert result["followed"] == [True, False]
        assert (result["score"], result["total"]) == (0.0, 2)


@pytest.mark.parametrize(("truth", "message"), [
    ("", "must be"),
    ("[]", "must be"),
    ("[1]", "must be"),
    ("__import__('os')", "must be"),
    ("[{'instruction_id': ['punctuation:no_comma']}]", "as many"),
    ("[{'instruction_id': ['punctuation:no_coma'], 'kwargs': [None]}]", "nearest known is 'punctuation:no_comma'"),
    ("[{'instruction_id': ['keywords:word_once'], 'kwargs': [None]}]", "needs 'keyword'"),
    (None, "must be"),
])
def test_bad_rows_name_the_data_source(truth, message):
    with pytest.raises(ValueError, match=message) as caught:
        resolve("ood__ifbench_95k").function("ood__ifbench_95k", "", truth, None)
    assert "ood__ifbench_95k" in str(caught.value)


def test_reference_and_near_misses():
    reward = resolve("ood__ifbench")
    truth = row(HYPHENS, LAST, ONCE, DOT, EXCLUDE)
    score = lambda text: reward.function("ood__ifbench", text, truth, None)["score"]
    assert score(reward.reference_answer(truth, {})) == 1.0
    misses = reward.near_misses(truth, {})
    assert len(misses) == 5 and {score(miss) for miss in misses} == {0.0}
