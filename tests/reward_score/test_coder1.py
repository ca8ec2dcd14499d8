# ruff: noqa: E501 -- a program of the tests stands on one line
import json
import os
import time

import numpy as np
import pytest

from reward_score import coder1, default_compute_score
from reward_score.registry import resolve
from tests.support.code_rows import ROWS, cases, fenced

CASES = {source: cases(source) for source in ROWS}
KEYS = {"score", "acc", "passed", "total", "verdict", "feedback"}
ADD = ROWS["codecontests"]
FUNCTIONAL = json.dumps({"functional": "assert f(1) == 2\nassert f(5) == 6"})


@pytest.mark.parametrize(("source", "case"), [(source, case) for source, rows in CASES.items() for case in rows],
                         ids=lambda value: value if isinstance(value, str) else value.name)
def test_cases(source, case):
    result = default_compute_score(source, case.answer, case.truth, case.extra_info)
    assert (result["score"], result["acc"]) == (case.score, case.score), result
    assert result.keys() == KEYS


@pytest.mark.parametrize("source", ROWS)
def test_reference_scores_full_and_near_misses_do_not(source):
    row, reward = ROWS[source], resolve(source)
    reference = reward.reference_answer(row.truth, row.extra_info)
    assert bool(reference) == bool(row.extra_info.get("reference"))
    if reference:
        assert default_compute_score(source, reference, row.truth, row.extra_info)["score"] == 1.0
    for answer in reward.near_misses(row.truth, row.extra_info):
        assert default_compute_score(source, answer, row.truth, row.extra_info)["score"] == 0.0, answer


def score(code, truth=FUNCTIONAL, extra_info=None, **kwargs):
    return coder1.compute_score("codegen__x", fenced(code), truth, extra_info, **kwargs)


@pytest.mark.parametrize(("code", "verdict"), [
    ("def f(x):\n    return x + 1", "pass"),
    ("def f(x):\n    return x", "wrong answer"),
    ("def f(x):\n    return 1 / 0", "runtime error"),
    ("def g(x):\n    return x + 1", "wrong answer"),
    ("def f(x) return x", "compile error"),
    ("def f(x):\n    return [0] * 10**11", "memory"),
    ("def f(x):\n    return 'x' * (20 * 2**20)", "output limit"),
    ("def f(x):\n    while True: pass", "timeout"),
    ("def f(x):\n    import time; time.sleep(60)", "timeout"),
    ("while True: pass", "timeout"),
])
def test_verdicts_of_functions(code, verdict):
    start = time.monotonic()
    result = score(code, timeout=0.7 if verdict == "timeout" else 2)
    assert (result["verdict"], result["passed"]) == (verdict, int(verdict == "pass"))
    assert bool(result["feedback"]) == (verdict != "pass")
    assert time.monotonic() - start < 2.7


@pytest.mark.parametrize(("code", "verdict", "passed"), [
    (ADD.right, "pass", 3),
    ("print(3)", "wrong answer", 1),
    ("print(3); raise SystemExit(1)", "runtime error", 0),
    ("print(1 / 0)", "runtime error", 0),
    ("print(", "compile error", 0),
    ("x = bytearray(10**10)", "memory", 0),
    ("while True: print('x' * 10**6)", "output limit", 0),
    ("while True: pass", "timeout", 0),
])
def test_verdicts_of_programs(code, verdict, passed):
    result = score(code, ADD.truth, timeout=0.7 if verdict == "timeout" else 2)
    assert (result["verdict"], result["passed"], result["total"]) == (verdict, passed, 3)


def test_answer_has_a_deadline_for_all_its_tests():
    truth = json.dumps({"inputs": [""] * 100, "outputs": [""] * 100})
    start = time.monotonic()
    result = score("import time; time.sleep(0.2)", truth, deadline=0.7)
    assert result["verdict"] == "timeout"
    assert time.monotonic() - start < 2


def test_deadline_stays_within_the_pools(monkeypatch):
    monkeypatch.setenv("REWARD_TIMEOUT", "0.5")
    start = time.monotonic()
    assert score("while True: pass")["verdict"] == "timeout"
    assert time.monotonic() - start < 1.4


def test_stops_at_the_first_failing_test():
    truth = json.dumps({"inputs": ["1", "2"] + [""] * 50, "outputs": ["1", "x"] + [""] * 50})
    start = time.monotonic()
    result = score("import time\nline = input()\nprint(line)\nif not line: time.sleep(5)", truth)
    assert (result["passed"], result["verdict"]) == (1, "wrong answer")
    assert time.monotonic() - start < 2


def test_share_of_tests_on_demand():
    result = score("print(3)", ADD.truth, continuous=True)
    assert (result["score"], result["acc"]) == (1 / 3, 0.0)
    assert score(ADD.right, ADD.truth, continuous=True)["score"] == 1.0


HARNESS_HACKS = {
    "StopIteration ends all(map())": "def f(x):\n    raise StopIteration",
    "redefined builtins": "def all(x): return True\nabs = len = isinstance = any = lambda *a: True\ndef f(x): return 0",
    "patched builtins": "import builtins\nbuiltins.all = builtins.abs = lambda *a: 1\ndef f(x): return 0",
    "frames": "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
              "        frame.f_globals.update(verdict='pass')\n        frame = frame.f_back\n    return 0",
    "gc": "import gc\ndef f(x):\n    for o in gc.get_objects():\n        if type(o) is dict and 'tests' in o: return 1 / 0\n    return 0",
    "descriptors": "import os\ndef f(x):\n    for fd in range(64):\n        try: os.pwrite(fd, b'{\"verdict\": \"pass\"}', 0)\n"
                   "        except OSError: pass\n    return 0",
    "socket of the harness": "import os\ndef f(x):\n    os.write(4, (17).to_bytes(8, 'little') + b'{\"value\": {\"top\": 2}}')\n"
                             "    os._exit(0)",
    "patched json": "import json\njson.dumps = lambda *a, **k: '{\"verdict\": \"pass\"}'\ndef f(x): return 0",
    "patched unittest": "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef f(x): return 0",
    "hidden thread": "import threading, os, time\nthreading.Thread(target=lambda: (time.sleep(0.01), os._exit(0))).start()\n"
                     "def f(x):\n    time.sleep(0.2)\n    return 2",
    "str that equals": "class S(str):\n    def __eq__(self, o): return True\n    __hash__ = str.__hash__\ndef f(x): return S('a')",
    "int that equals": "class I(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\ndef f(x): return I(7)",
    "list that equals": "class L(list):\n    def __eq__(self, o): return True\ndef f(x): return L([7])",
    "assert switched off": "import sys\nsys.flags = None\n__debug__ = False",
    "AssertionError patched": "import builtins\nbuiltins.AssertionError = SystemExit\ndef f(x): return 0",
    "modules of the tests": "class math:\n    isclose = staticmethod(lambda *a, **k: True)\ndef f(x): return 0",
    "class lies": "class C:\n    __class__ = int\n    def __eq__(self, o): return True\ndef f(x): return C()",
    "source of the tests": "import glob\ndef f(x):\n    text = ''.join(open(p, errors='replace').read() for p in glob.glob('/tmp/*'))\n"
                           "    return eval(text.split('==')[1])",
    "memory of the parent": "import os\ndef f(x): return open(f'/proc/{os.getppid()}/mem', 'rb').read(10)",
}  # yapf: disable


@pytest.mark.parametrize("tests", [
    "assert f(1) == 2", "assert all(map(lambda c: f(c[0]) == c[1], [(1, 2), (5, 6)]))",
    "import math\nassert math.isclose(f(1), 2.5)\nassert isinstance(f(1), float)", "assert abs(f(1) - 3.5) < 1e-6",
    "assert 5 in f(1)", "assert f(1) in [2, 3]", "import unittest\nunittest.TestCase().assertEqual(f(1), 2)"
])
def test_no_trick_passes(tests):
    for name, code in HARNESS_HACKS.items():
        assert score(code, json.dumps({"functional": tests}), timeout=3)["score"] == 0.0, name


@pytest.mark.parametrize(("code", "tests"), [
    ("def f(x):\n    x.sort()", "a = [3, 1]\nf(a)\nassert a == [1, 3]"),
    ("def f(x):\n    x['b'] = 2\n    return x", "a = {'a': 1}\nassert f(a) == {'a': 1, 'b': 2} == a"),
    ("def f(n):\n    yield from range(n)", "assert list(f(3)) == [0, 1, 2]\nassert 2 in f(3)"),
    ("def f(n):\n    return map(str, range(n))", "assert tuple(f(2)) == ('0', '1')"),
    ("from collections import *\ndef f(s):\n    return Counter(s)", "assert f('aab') == {'a': 2, 'b': 1}"),
    ("from collections import *\ndef f(s):\n    return OrderedDict(a=1)",
     "from collections import OrderedDict\nassert f('') == OrderedDict(a=1)"),
    ("from collections import *\nP = namedtuple('P', 'x y')\ndef f(a):\n    return P(a, 2)", "assert f(1) == (1, 2)"),
    ("class Pair:\n    def __init__(self, a, b):\n        self.a, self.b = a, b\ndef f(pairs):\n    return max(p.b for p in pairs)",
     "assert f([Pair(1, 2), Pair(3, 9)]) == 9"),
    ("class LRU:\n    def __init__(self, n):\n        self.d = {}\n    def put(self, k, v):\n        self.d[k] = v\n"
     "    def get(self, k):\n        return self.d.get(k, -1)",
     "c = LRU(2)\nc.put(1, 5)\nassert c.get(1) == 5\nassert c.get(2) == -1\nassert c.d == {1: 5}"),
    ("def f(x):\n    if x < 0:\n        raise ValueError('negative')\n    return x",
     "try:\n    f(-1)\n    assert False\nexcept ValueError as e:\n    assert 'negative' in str(e)"),
    ("def f(x):\n    return {(1, 2): {3, 4}, 'b': b'x', None: 2**100, 'c': 1j, 'n': float('inf')}",
     "assert f(0) == {(1, 2): {4, 3}, 'b': b'x', None: 2**100, 'c': 1j, 'n': float('inf')}"),
    ("def f(x):\n    return x if not x else [f(x[0])]", "assert f([[[]]]) == [[[]]]"),
    ("from fractions import Fraction\ndef f(x):\n    return Fraction(x, 3)", "from fractions import *\nassert f(2) == Fraction(2, 3)"),
    ("import numpy as np\ndef f(x):\n    return np.array(x) * 2", "import numpy as np\nassert np.array_equal(f([1, 2]), [2, 4])"),
    ("import numpy as np\ndef f(x):\n    return np.int64(x)", "assert f(3) == 3 and isinstance(f(3), int)"),
    ("import math\ndef f(x):\n    return x", "assert math.sqrt(f(4)) == 2"),
    ("LIMIT = 7\ndef f(x):\n    return x", "assert f(LIMIT) == 7"),
    ("def f(x):\n    return lambda y: x + y", "assert f(1)(2) == 3"),
    ("def f(x: List[int]) -> Optional[int]:\n    return x[0]", "assert f([1]) == 1"),
    ("if __name__ == '__main__':\n    print(input())\ndef f(x):\n    print(x)\n    return x", "assert f(1) == 1"),
])  # yapf: disable
def test_what_right_answers_do(code, tests):
    result = score(code, json.dumps({"functional": tests}))
    assert result["score"] == 1.0, result


@pytest.mark.parametrize(("found", "expected", "equal"), [
    ("1\n2\n", "1\n2", True), ("1  2", "1 2", True), ("1\n\n2", "1\n2", False), ("1 2", "1\n2", False),
    ("0.3333333", "0.33333333", True), ("0.3334", "0.3333", False), ("3.0", "3", False), ("3", "3.0", True),
    ("1000001", "1000000", False), ("yes", "YES", True), ("yess", "YES", False), ("abc", "ABC", False),
    ("nan", "nan", True), ("nan", "1.0", False), ("inf", "1e5", False), ("1_0.0", "10.0", True), ("", "", True),
    ("1e400", "2.0", False),
])  # yapf: disable
def test_output_is_compared_word_by_word(found, expected, equal):
    assert coder1.same_output(found, expected) == equal


@pytest.mark.parametrize(("returned", "expected", "passes"), [
    ("0.1 + 0.2", 0.3, 1), ("[0.1 + 0.2, 1]", [0.3, 1], 1), ("(1, [2.0000001])", [1, [2.0]], 1), ("2.001", 2.0, 0),
    ("float('inf')", float("inf"), 1), ("5", float("inf"), 0), ("float('nan')", 2.0, 0), ("1000001", 1000000, 0),
    ("10**400", 2.0, 0), ("[2.0, 3]", [2.0], 0), ("'2.0'", 2.0, 0),
])  # yapf: disable
def test_decimals_that_a_function_returns(returned, expected, passes):
    truth = json.dumps({"inputs": [[1]], "outputs": [[expected]], "fn_name": "f"})
    assert coder1.compute_score("taco", fenced(f"def f(x):\n    return {returned}"), truth)["score"] == passes


@pytest.mark.parametrize(("truth", "words"), [
    ("no json", "no JSON"), (json.dumps({}), "functional"), (json.dumps({"functional": " "}), "functional"), (None, "NoneType"),
    (json.dumps({"inputs": [], "outputs": []}), "0 inputs"), (json.dumps({"inputs": ["1"], "outputs": []}), "1 inputs"),
    (json.dumps({"inputs": [[1]], "outputs": [1], "fn_name": "a; b"}), "fn_name"),
    (json.dumps({"functional": "assert True"}), "never call"),
])  # yapf: disable
def test_bad_rows_are_told(truth, words):
    with pytest.raises(ValueError, match=words):
        score("def f(x): return 1", truth)


def test_rows_from_parquet():
    truth = {"inputs": np.array(["1 2"], dtype=object), "outputs": np.array(["3"], dtype=object), "fn_name": None,
             "functional": None}  # yapf: disable
    assert score(ADD.right, truth, {"prefix": None, "reference": None, "function_name": None})["score"] == 1.0


def test_huge_answer():
    text = "x" * 10**7
    start = time.monotonic()
    assert score(ADD.right + f"\n# {text}", ADD.truth)["verdict"] == "compile error"
    assert coder1.compute_score("taco", "```python\n" * 10**6 + text, ADD.truth)["verdict"] == "no code"
    assert coder1.compute_score("taco", text + "\n" + fenced(ADD.right), ADD.truth)["score"] == 1.0
    assert time.monotonic() - start < 3


def test_environment_is_not_seen(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    truth = json.dumps({"inputs": [""], "outputs": ["None"]})
    assert score("import os; print(os.environ.get('SECRET_TOKEN'))", truth)["score"] == 1.0
    assert "SECRET_TOKEN" in os.environ
