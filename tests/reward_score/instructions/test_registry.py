import numpy as np
import pytest

import reward_score.instructions  # noqa: F401 -- registers the checkers
from reward_score.instructions.registry import compare, find, read_arguments


def test_unknown_id_names_the_nearest():
    with pytest.raises(ValueError, match="'keywords:existance'.*'keywords:existence'"):
        find("keywords:existance")


def test_arguments_come_back_as_pythons_own():
    row = {"keyword": np.str_("cat"), "frequency": np.float64(2.0), "relation": "at least", "keywords": None, "N": 3}
    assert read_arguments("keywords:frequency", row) == {"keyword": "cat", "frequency": 2, "relation": "at least"}
    keywords = read_arguments("keywords:existence", {"keywords": np.array(["a", "b"], dtype=object)})["keywords"]
    assert keywords == ["a", "b"]
    assert read_arguments("punctuation:no_comma", {"num_words": 3}) == {}


@pytest.mark.parametrize(("name", "row", "message"), [
    ("keywords:existence", {}, "needs 'keywords'"),
    ("keywords:existence", {
        "keywords": []
    }, "keywords = "),
    ("keywords:existence", {
        "keywords": [""]
    }, "keywords = "),
    ("length_constraints:number_words", {
        "num_words": float("nan"),
        "relation": "at least"
    }, "needs 'num_words'"),
    ("length_constraints:number_words", {
        "num_words": 2.5,
        "relation": "at least"
    }, "num_words = 2.5"),
    ("length_constraints:number_words", {
        "num_words": -2,
        "relation": "at least"
    }, "num_words = -2"),
    ("length_constraints:number_words", {
        "num_words": 2,
        "relation": "about"
    }, "relation = 'about'"),
    ("language:response_language", {
        "language": "xx"
    }, "language = 'xx'"),
    ("startend:end_checker", {
        "end_phrase": 7
    }, "end_phrase = 7"),
])
def test_bad_arguments_name_id_and_key(name, row, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_arguments(name, row)
    assert name in str(caught.value)


@pytest.mark.parametrize(("relation", "fits"), [
    ("less than", [1]),
    ("at most", [1, 2]),
    ("exactly", [2]),
    ("at least", [2, 3]),
    ("more than", [3]),
])
def test_relations(relation, fits):
    assert [count for count in (1, 2, 3) if compare(count, relation, 2)] == fits
