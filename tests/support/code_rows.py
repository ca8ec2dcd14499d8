"""One row per data_source of code, in upstream's ground-truth formats, with a right and a wrong program for each."""
# ruff: noqa: E501 -- a program of the tests stands on one line
import json
from dataclasses import dataclass, field

from tests.support.reward_cases import Case


@dataclass(frozen=True)
class CodeRow:
    """`near` is wrong by a little; `wrong` altogether."""

    truth: object
    right: str
    near: str
    wrong: str
    extra_info: dict = field(default_factory=dict)


def fenced(code, language="python"):
    return f"```{language}\n{code}\n```"


LEETCODE_PREFIX = '''from typing import *
from math import *

class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next

def list_node(values):
    if not values:
        return None
    head = ListNode(values[0])
    p = head
    for value in values[1:]:
        p.next = ListNode(value)
        p = p.next
    return head

def is_same_list(p1, p2):
    while p1 and p2:
        if p1.val != p2.val:
            return False
        p1, p2 = p1.next, p2.next
    return p1 is None and p2 is None
'''
LEETCODE_TESTS = '''def check(candidate):
    assert is_same_list(candidate(head = list_node([1, 2, 3])), list_node([3, 2, 1]))
    assert is_same_list(candidate(head = list_node([])), list_node([]))
    assert is_same_list(candidate(head = list_node(list(range(3000)))), list_node(list(range(2999, -1, -1))))


check(Solution().reverseList)'''
REVERSE = '''class Solution:
    def reverseList(self, head: Optional[ListNode]) -> Optional[ListNode]:
        before = None
        while head:
            head.next, before, head = before, head, head.next
        return before'''
DEEP_EQ = '''_inputs = [[[1, 2, 3]], [[]], [[0.1, 0.2]]]
_outputs = [[6], [0], [0.3]]
import math
def _deep_eq(a, b, tol=1e-5):
    if isinstance(a, float) or isinstance(b, float):
        return math.isclose(a, b, rel_tol=tol, abs_tol=tol)
    if isinstance(a, (list, tuple)):
        if len(a) != len(b): return False
        return all(_deep_eq(x, y, tol) for x, y in zip(a, b))
    return a == b

for i, o in zip(_inputs, _outputs):
    assert _deep_eq(total(*i), o[0])'''
HUMANEVAL_TESTS = '''METADATA = {'author': 'x', 'dataset': 'test'}


def check(candidate):
    assert candidate([1.0, 2.0, 3.9, 4.0, 5.0, 2.2], 0.3) == True
    assert candidate([1.0, 2.0, 3.9, 4.0, 5.0, 2.2], 0.05) == False
    assert candidate([1.0, 2.0, 5.9, 4.0, 5.0], 0.95) == True


check(has_close_elements)'''
CLOSE = '''def has_close_elements(numbers, threshold):
    ordered = sorted(numbers)
    return any(b - a < threshold for a, b in zip(ordered, ordered[1:]))'''
PLUS_TESTS = '''def is_floats(x) -> bool:
    return isinstance(x, float)

def assertion(out, exp, atol):
    if atol == 0 and is_floats(exp):
        atol = 1e-6
    if out != exp and atol != 0:
        assert abs(out - exp) <= atol
    else:
        assert out == exp, f"out: {out}, exp: {exp}"

inputs = [[[4, 1, 3]], [[2, 2]], [[-1]]]
results = [(1, 3, 4), (2, 2), (-1,)]
for i, (inp, exp) in enumerate(zip(inputs, results)):
    assertion(ordered(*inp), exp, 0)
'''
MEAN_TESTS = '''inputs = [[[1, 2]], [[0.5, 0.25, 0.75]]]
results = [1.5, 0.5]
def check(candidate):
    for given, expected in zip(inputs, results):
        assert abs(candidate(*given) - expected) < 1e-6

check(mean)'''

ADD = {"inputs": ["1 2\n", "10 -4\n", "0 0\n"], "outputs": ["3\n", "6\n", "0\n"]}
ADD_RIGHT = "a, b = map(int, input().split())\nprint(a + b)"
HALVES = {"inputs": ["2\n1\n3\n", "1\n10\n"], "outputs": ["0.5\n1.5", "5.000000"]}
HALVES_RIGHT = "import sys\nfor n in sys.stdin.read().split()[1:]:\n    print(int(n) / 2)"
YES = {"inputs": ["7\n", "8\n"], "outputs": ["YES\n", "NO\n"]}
WORDS = {"inputs": ["b a\n", "z\n"], "outputs": ["a b\n", "z\n"]}
LCB_TESTS = '''def check_maxScore():
    assert Solution().maxScore([1, 5, 2], 2) == 7
    assert Solution().maxScore([3], 1) == 3

check_maxScore()
'''

ROWS = {
    "codegen__leetcode2k":
        CodeRow(json.dumps({"functional": LEETCODE_TESTS}), REVERSE, REVERSE.replace("return before", "return head"),
                "class Solution:\n    def reverseList(self, head):\n        return head", {
                    "prefix": LEETCODE_PREFIX,
                    "reference": REVERSE,
                    "split": "train",
                    "index": 0
                }),
    "codegen__taco":
        CodeRow(json.dumps({"functional": DEEP_EQ}), "def total(values):\n    return sum(values)",
                "def total(values):\n    return sum(values[1:])", "def total(values):\n    return None",
                {"reference": "def total(values):\n    return sum(values)"}),
    "codegen__primeintellect":
        CodeRow(json.dumps(WORDS), "print(*sorted(input().split()))", "print(*input().split())", "print('a b')", {
            "reference": "print(*sorted(input().split()))",
            "function_name": None
        }),
    "codegen__livecodebench":
        CodeRow(
            json.dumps({"functional": LCB_TESTS}),
            "class Solution:\n    def maxScore(self, a: List[int], k: int) -> int:\n        return sum(sorted(a)[-k:])",
            "class Solution:\n    def maxScore(self, a, k):\n        return sum(a[-k:]) + 1",
            "class Solution:\n    def maxscore(self, a, k):\n        return 7", {
                "reference": "",
                "function_name": "maxScore"
            }),
    "codegen__humaneval":
        CodeRow(json.dumps({"functional": HUMANEVAL_TESTS}), CLOSE, CLOSE.replace("[1:]", "[2:]"),
                "def has_close_elements(numbers, threshold):\n    return True", {
                    "original_prompt": CLOSE.split("\n")[0],
                    "reference": "\n".join(CLOSE.split("\n")[1:])
                }),
    "codegen__humanevalplus":
        CodeRow(json.dumps({"functional": MEAN_TESTS}), "def mean(values):\n    return sum(values) / len(values)",
                "def mean(values):\n    return sum(values) // len(values)", "def mean(values):\n    return 'mean'",
                {"reference": "def mean(values):\n    return sum(values) / len(values)"}),
    "codegen__mbpp":
        CodeRow(json.dumps({"functional": "assert sum(10, 15) == 25\nassert sum(-1, 1) == 0\n"}),
                "def sum(a, b):\n    return a + b", "def sum(a, b):\n    return a - b + 30",
                "def total(a, b):\n    return a + b", {"reference": "def sum(a, b):\n    return a + b"}),
    "codegen__mbppplus":
        CodeRow(json.dumps({"functional": PLUS_TESTS}), "def ordered(values):\n    return tuple(sorted(values))",
                "def ordered(values):\n    return sorted(values)", "def ordered(values):\n    return ()",
                {"reference": "def ordered(values):\n    return tuple(sorted(values))"}),
    "codecontests":
        CodeRow(json.dumps(ADD), ADD_RIGHT, ADD_RIGHT.replace("+", "-"), "print(3)"),
    "apps":
        CodeRow(
            json.dumps({
                "inputs": ["[1, 2]\n3", "[]\n0"],
                "outputs": ["[[1, 3], [2, 3]]", "[]"],
                "fn_name": "pair"
            }), "class Solution:\n    def pair(self, values, with_):\n        return [(v, with_) for v in values]",
            "class Solution:\n    def pair(self, values, with_):\n        return [(with_, v) for v in values]",
            "def pair(values, with_):\n    return [1]"),
    "codeforces":
        CodeRow(json.dumps(YES), "print('Yes' if int(input()) % 2 else 'No')",
                "print('Yes' if int(input()) > 7 else 'No')", "print('YES')"),
    "taco":
        CodeRow(json.dumps(HALVES), HALVES_RIGHT, HALVES_RIGHT.replace("/ 2", "/ 2.001"), "print(0.5)"),
}

HACKS = {
    "exit 0": "import sys\nsys.exit(0)",
    "os._exit": "import os\nos._exit(0)",
    "printed verdicts": "print('pass')\nprint('{\"verdict\": \"pass\", \"nonce\": \"\"}')\nraise SystemExit(0)",
    "equals everything": "class All:\n    def __eq__(self, other): return True\n    def __getattr__(self, name): return self\n"
                         "    def __call__(self, *args, **kwargs): return self\n    def __bool__(self): return True\n"
                         "    def __lt__(self, other): return True\n    def __contains__(self, x): return True\n"
                         "    def __abs__(self): return 0\n    def __sub__(self, other): return 0\n"
                         "total = sum = mean = ordered = has_close_elements = pair = Solution = All()",
}  # yapf: disable


def cases(source):
    """At least eight cases of a data_source."""
    row = ROWS[source]

    def case(name, answer, score):
        return Case(name, answer, row.truth, score, row.extra_info)

    right = fenced(row.right)
    return [
        case("right", f"<think>maybe\n{fenced(row.wrong)}</think>So:\n{right}\nThis is it.", 1.0),
        case("right, bare fence, Windows lines",
             fenced(row.right, "").replace("\n", "\r\n"), 1.0),
        case("right after a wrong one", f"{fenced(row.wrong)}\nNo:\n{fenced(row.right, 'py')}", 1.0),
        case("wrong", fenced(row.wrong), 0.0),
        case("near miss", fenced(row.near), 0.0),
        case("wrong after a right one", f"{right}\nNo:\n{fenced(row.near)}", 0.0),
        case("no fence", row.right, 0.0),
        case("unclosed fence", right.removesuffix("```"), 0.0),
        case("unclosed thinking", f"<think>\n{right}", 0.0),
        case("malformed", fenced(row.right.replace("(", "((", 1)), 0.0),
        case("empty", "", 0.0),
        case("much memory", fenced(f"x = [0] * 10**11\n{row.right}"), 0.0),
        *(case(f"hack: {name}", fenced(code), 0.0) for name, code in HACKS.items()),
    ]
