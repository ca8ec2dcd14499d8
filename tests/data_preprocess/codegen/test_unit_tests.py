import json

import pytest

import reward_score.coder1  # noqa: F401 -- registers codegen*
from data_preprocess.codegen.prompts import mentions_image, task_prompt
from data_preprocess.codegen.unit_tests import code_of, function_truth, program_truth, read_tests, unwrapped
from data_preprocess.core import Drop
from reward_score import default_compute_score


@pytest.mark.parametrize(("raw", "pairs", "function"), [
    ({"inputs": ["1\n", "2\n"], "outputs": ["3\n", "4\n"]}, [("1\n", "3\n"), ("2\n", "4\n")], ""),
    ({"inputs": [[1, 2]], "outputs": [3], "fn_name": "f"}, [([1, 2], 3)], "f"),
    ([{"type": "stdin_stdout", "input": "1", "output": "2"}], [("1", "2")], ""),
    ([{"type": "function_call", "fn_name": "f", "input": [1], "output": [2]}], [([1], [2])], "f"),
    ([{"testtype": "functional", "input": "1\n2", "output": "3", "metadata": {}}], [("1\n2", "3")], ""),
])  # yapf: disable
def test_every_notation_is_read(raw, pairs, function):
    for value in (raw, json.dumps(raw)):
        tests = read_tests(value)
        assert (tests.pairs, tests.function) == (pairs, function)


@pytest.mark.parametrize(("raw", "reason"), [
    ("", "no JSON"), ("{", "no JSON"), ('{"inputs": [[' + "7" * 5000 + ']], "outputs": [1]}', "no JSON"),
    ("[]", "no tests"), (None, "no tests"), ({"inputs": [], "outputs": []}, "no tests"),
    ({"inputs": ["1"], "outputs": []}, "not as many"),
    ([{"type": "stdin_stdout", "input": "1", "output": "1"},
      {"type": "function_call", "fn_name": "f", "input": [1], "output": [1]}], "several kinds"),
])  # yapf: disable
def test_what_is_no_test_says_so(raw, reason):
    with pytest.raises(Drop, match=reason):
        read_tests(raw)


def test_programs_keep_the_shortest_inputs_in_order():
    pairs = [("long input\n", "1"), (["a", "b"], ["c\r", ""]), ("x", "2")]
    assert json.loads(program_truth(pairs, most=2)) == {"inputs": ["x", "a\nb"], "outputs": ["2", "c\n"]}
    assert json.loads(program_truth(pairs, longest=3))["inputs"] == ["a\nb", "x"]
    assert len(json.loads(program_truth(pairs))["inputs"]) == 3
    with pytest.raises(Drop, match="expects an output"):
        program_truth([("1", " \n")])
    with pytest.raises(Drop, match="moderate size"):
        program_truth(pairs[:1], longest=3)


def passes(truth, code):
    return default_compute_score("codegen__taco", f"```python\n{code}\n```", truth, {})["score"]


def test_values_of_functions_are_compared_deeply():
    truth = function_truth("f", [([1], [1, [2.5, "é"]]), ([[1], {"a": None}], True), ([float("inf")], 10.0)])
    code = "def f(a, b=None):\n    return True if b else (1, (2.5{}, 'é')) if a == 1 else {}"
    assert passes(truth, code.format("", "10")) == 1  # a tuple for a list, an integer for a decimal
    assert passes(truth, code.format("00001", "9.99999")) == 1
    assert passes(truth, code.format("1", "10")) == 0
    assert passes(truth, code.format("", "'10'")) == 0
    assert passes(truth, code.format("", "[10]")) == 0


@pytest.mark.parametrize("name", ["f", "_x", "sum", "_same", "_call"])
def test_a_function_may_have_any_name(name):
    truth = function_truth(name, [([1, 2], 3)])
    info = {"function_name": name, "reference": f"def {name}(a, b):\n    return a + b"}
    score = lambda code: default_compute_score("codegen__taco", f"```python\n{code}\n```", truth, info)["score"]
    assert score(info["reference"]) == 1
    assert score(info["reference"].replace("+", "-")) == 0
    method = f"class Solution:\n    def {name}(self, a, b):\n        return a + b"
    assert score(method) == 1


@pytest.mark.parametrize("name", ["", None, "f()", "Solution().f", "import os"])
def test_what_is_no_name_is_no_function(name):
    with pytest.raises(Drop, match="name"):
        function_truth(name, [([1], 1)])


@pytest.mark.parametrize(("solutions", "code"), [
    (["print(1)", "print(2)"], "print(1)"),
    (["```python\nprint(1)\n```"], "print(1)"),
    ('["print(1)"]', "print(1)"),
])
def test_the_first_solution_is_taken_out_of_its_fence(solutions, code):
    assert code_of(solutions) == code


@pytest.mark.parametrize("solutions", [[], None, "", "[]", [" "], ["```python\n\n```"]])
def test_no_solution(solutions):
    with pytest.raises(Drop, match="no reference solution"):
        code_of(solutions)


def test_prompts():
    assert unwrapped([3]) == 3 and unwrapped([3, 4]) == [3, 4] and unwrapped("ab") == "ab"
    assert "`f`" in task_prompt("Do it.", function="f") and "`f`" not in task_prompt("Write f(x).", function="f")
    assert "standard input" in task_prompt("Do it.") and "standard input" not in task_prompt("Do it.", function="f")
    assert "```python\ndef f():\n```" in task_prompt("Do it.", "def f():\n", "f")
    assert mentions_image("see <img src='a'>") and mentions_image("the image below") and not mentions_image("imagine")
