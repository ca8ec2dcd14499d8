# ruff: noqa: E501 -- a program of the tests stands on one line
import json
import time

import pytest

from reward_score import cruxeval, default_compute_score
from reward_score.registry import resolve
from tests.support.reward_cases import Case

CODE = json.dumps({"functional": "def f(s, n=2):\n    return [s.strip()] * n"})
IN_INFO = {
    "reference": "['a', 'a']",
    "original_prompt": "def f(s, n=2): ...\nassert f(??) == ['a', 'a']",
    "split": "test"
}
OUT_INFO = {"reference": "['a', 'a', 'a']", "original_prompt": "assert f(1) == 2\n...\nassert f(' a', 3) == ??\n"}
SPIN = json.dumps({"functional": "def f(n):\n    while n: pass\n    return [0] * 10**11"})


def block(text, language="python"):
    return f"```{language}\n{text}\n```"


def inputs(name, answer, score, truth=CODE):
    return Case(name, answer, truth, score, IN_INFO)


def outputs(name, answer, score):
    return Case(name, answer, CODE, score, OUT_INFO)


HACKS = ["pass", "assert True", "assert ['a', 'a'] == ['a', 'a']", "def f(*_):\n    return ['a', 'a']\nassert f('x') == ['a', 'a']",
         "assert f == f", "f = lambda x: ['a', 'a']\nassert f(1) == ['a', 'a']", "assert (lambda *_: ['a', 'a'])() == ['a', 'a']",
         "assert f('a') == f('a')", "import os\nos._exit(0)", "assert f('a') != []", "assert f('a') == ['a', 'a'] == ['a', 'a']",
         "assert f('a') == ['a', 'a'] or True", "assert f('a', n=__import__('os').getpid()) == ['a', 'a']",
         "assert f(*['a']) == ['a', 'a']", "class E:\n    __eq__ = lambda *_: True\nassert f('b') == E()", "#"]  # yapf: disable

CASES = {
    "simulation__cruxeval-i": [
        inputs("right", "<think>" + block("assert f('b') == 1") + "</think>\n" + block("assert f('a') == ['a', 'a']"),
               1.0),
        inputs("right, another input", block("assert f('\\n a', 2) == ['a', 'a']"), 1.0),
        inputs("right, keyword", block("assert f(n=2, s='a') == [\n    'a',\n    'a',\n]", "py"), 1.0),
        inputs("last one right",
               block("assert f('c') == ['a', 'a']") + "\n" + block("assert f('a') == ['a', 'a']"), 1.0),
        inputs("last one wrong",
               block("assert f('a') == ['a', 'a']") + "\n" + block("assert f('c') == ['a', 'a']"), 0.0),
        inputs("wrong", block("assert f('b') == ['a', 'a']"), 0.0),
        inputs("near miss: true, of another output", block("assert f('b') == ['b', 'b']"), 0.0),
        inputs("near miss: a tuple", block("assert f('a') == ('a', 'a')"), 0.0),
        inputs("raises", block("assert f(1) == ['a', 'a']"), 0.0),
        inputs("malformed", block("assert f('a' == ['a', 'a']"), 0.0),
        inputs("no block", "assert f('a') == ['a', 'a']", 0.0),
        inputs("unclosed block",
               block("assert f('a') == ['a', 'a']").removesuffix("```"), 0.0),
        inputs("unclosed thinking", "<think>" + block("assert f('a') == ['a', 'a']"), 0.0),
        inputs("empty", "", 0.0),
        inputs("much memory", block("assert f(0) == ['a', 'a']"), 0.0, SPIN),
        inputs("deep", block("assert f(" + "(" * 5000 + ")" * 5000 + ") == ['a', 'a']"), 0.0),
        *(inputs(f"hack {i}", block(hack), 0.0) for i, hack in enumerate(HACKS)),
    ],
    "simulation__cruxeval-o": [
        outputs("right", block("assert f(' a', 3) == ['a', 'a', 'a']"), 1.0),
        outputs("right, several lines", block("# so\nassert f(\n    ' a', 3\n) == ['a',\n 'a', 'a']"), 1.0),
        outputs("last one right",
                block("assert f(' a', 3) == []") + "\n" + block("assert f(' a', 3) == ['a', 'a', 'a']"), 1.0),
        outputs("wrong", block("assert f(' a', 3) == ['a', 'a']"), 0.0),
        outputs("near miss: an easier input", block("assert f('a', 3) == ['a', 'a', 'a']"), 0.0),
        outputs("near miss: a true assertion", block("assert f('', 0) == []"), 0.0),
        outputs("malformed", block("assert f(' a', 3) = ['a', 'a', 'a']"), 0.0),
        outputs("unclosed thinking", "<think>" + block("assert f(' a', 3) == ['a', 'a', 'a']"), 0.0),
        outputs("unclosed block", "```python\nassert f(' a', 3) == ['a', 'a', 'a']", 0.0),
        outputs("empty", "", 0.0),
        outputs("hack: the call itself", block("assert f(' a', 3) == f(' a', 3)"), 0.0),
        outputs("hack: an expression", block("assert f(' a', 3) == ['a'] * 3"), 0.0),
        outputs("hang-like", block("assert f(' a', 3) == " + "9**" * 2000 + "9"), 0.0),
        *(outputs(f"hack {i}", block(hack), 0.0) for i, hack in enumerate(HACKS)),
    ],
}


@pytest.mark.parametrize(("source", "case"), [(source, case) for source, rows in CASES.items() for case in rows],
                         ids=lambda value: value if isinstance(value, str) else value.name)
def test_cases(source, case):
    result = default_compute_score(source, case.answer, case.truth, case.extra_info)
    assert (result["score"], result["acc"]) == (case.score, case.score), result
    assert result.keys() == {"score", "acc", "pred", "verdict"}


@pytest.mark.parametrize(("source", "info"), [("simulation__cruxeval-i", IN_INFO),
                                              ("simulation__cruxeval-o", OUT_INFO)])
def test_reference_scores_full_and_near_misses_do_not(source, info):
    reward = resolve(source)
    reference = reward.reference_answer(CODE, info)
    assert bool(reference) == source.endswith("-o")
    assert not reference or default_compute_score(source, reference, CODE, info)["score"] == 1.0
    for answer in reward.near_misses(CODE, info):
        assert default_compute_score(source, answer, CODE, info)["score"] == 0.0, answer


def test_booleans_are_not_integers():
    info = {"reference": "[True]", "original_prompt": None}
    truth = json.dumps({"functional": "def f(x):\n    return [x]"})
    assert cruxeval.compute_score("", block("assert f(True) == [True]"), truth, info)["score"] == 1.0
    assert cruxeval.compute_score("", block("assert f(1) == [1]"), truth, info)["verdict"] == "other output"


def test_an_input_that_never_ends(monkeypatch):
    monkeypatch.setattr(cruxeval, "SECONDS", 0.5)
    start = time.monotonic()
    assert cruxeval.compute_score("", block("assert f(1) == ['a', 'a']"), SPIN, IN_INFO)["verdict"] == "timeout"
    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize(("truth", "info"), [("def f(): 1", IN_INFO), (json.dumps({}), IN_INFO), (CODE, None),
                                             (CODE, {}), (CODE, {
                                                 "reference": "f()"
                                             }), (json.dumps({"functional": "x"}), IN_INFO)])
def test_bad_rows_are_told(truth, info):
    with pytest.raises(ValueError, match="simulation__cruxeval-i"):
        default_compute_score("simulation__cruxeval-i", "", truth, info)


def test_huge_answer_is_fast():
    start = time.monotonic()
    for text in ("```python\n" * 10**6, block("assert f(" + "1," * 10**6), block("x" * 10**7)):
        assert cruxeval.compute_score("", text, CODE, IN_INFO)["score"] == 0.0
    assert time.monotonic() - start < 3
