r"""`codegen*` and verl's `codecontests`, `apps`, `codeforces`, `taco`: programs, judged by running them in a sandbox.

Ground truth, a JSON string (or the dict it holds):

    {"functional": test code}                              asserts on the functions that the answer defines
    {"inputs": [text], "outputs": [text]}                  programs from stdin to stdout
    {"inputs": [arguments], "outputs": [values], "fn_name": name}   calls, as in APPS and TACO

`reward_score.sandbox` says what an answer cannot do. With `sandbox_fusion_url`, or `SANDBOX_FUSION_SERVERS` in the
environment, answers run there instead.
"""

import ast
import builtins
import json
import os
import time
from dataclasses import dataclass, field

from reward_score.extraction import after_thinking, last_code_block
from reward_score.registry import register_reward
from reward_score.syntax import parse

RELATIVE_TOLERANCE = 1e-6  # between decimals that a program prints or returns; integers must be equal
SECONDS_PER_TEST = 10.0
SECONDS_PER_ANSWER = 25.0  # below the 30 s of a reward pool, whose deadline costs a worker
MAX_CODE = 2**20  # characters
_LANGUAGES = ("python", "python3", "py", "")

_CALLS = """
import json, math
_cases = json.loads({cases!r})
def _plain(value):
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
def _same(value, expected):
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(_same, value, expected))
    if isinstance(expected, float) and type(value) in (int, float):
        return math.isclose(value, expected, rel_tol={tolerance}, abs_tol={tolerance})
    return value == expected
def _equal(value, expected):
    value = _plain(value)
    return _same(value, expected) or isinstance(expected, list) and len(expected) == 1 and _same(value, expected[0])
try:
    _function = Solution().{name}
except NameError:
    _function = {name}
for _arguments, _expected in _cases:
    assert _equal(_function(*_arguments), _expected), "wrong value"
"""


@dataclass(frozen=True)
class Tests:
    """What a row asks of its answer: test code, or pairs of input and output; one of the two is empty."""

    code: str = ""
    pairs: list[tuple[str, str]] = field(default_factory=list)
    entry_points: list[str] = field(default_factory=list)


def _reference(ground_truth: object, extra_info: dict) -> str | None:
    code = (extra_info or {}).get("reference")
    if not isinstance(code, str) or not code.strip():
        return None
    if code.lstrip("\n")[:1].isspace():  # HumanEval's is only a body; the head is in the prompt
        code = f"{extra_info.get('original_prompt') or extra_info.get('prompt') or ''}\n{code}"
    return f"```python\n{code}\n```"


def _near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    misses = [
        "", "```python\npass\n```", "```python\nimport os\nos._exit(0)\n```", "```python\nraise SystemExit(0)\n```"
    ]
    reference = _reference(ground_truth, extra_info)
    if reference:
        misses += [reference.removesuffix("```"), f"<think>{reference}", f"{reference}\n```python\npass\n```"]
    return misses


@register_reward("codegen*",
                 "codecontests",
                 "apps",
                 "codeforces",
                 "taco",
                 libraries=("reward_score.sandbox",),
                 warm_up="reward_score.sandbox:warm",
                 services=("SANDBOX_FUSION_SERVERS (SandboxFusion; optional, without it answers run on this machine)",),
                 answer_format="One complete Python program or function in the last fenced code block.",
                 reference_answer=_reference,
                 near_misses=_near_misses)
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  sandbox_fusion_url: str | None = None,
                  timeout: float = SECONDS_PER_TEST,
                  deadline: float | None = None,
                  memory_limit_mb: int | None = None,
                  continuous: bool = False,
                  **kwargs: object) -> dict[str, object]:
    """1.0 if the program in the last code block passes every test; it stops at the first that fails.

    Args:
        timeout: seconds per test (of test code: for all of it).
        deadline: seconds per answer; None: `REWARD_TIMEOUT` of the environment less a tenth, at most 25.
        memory_limit_mb: of the program, in MiB; None: 1024.
        continuous: the score is the share of tests passed, as verl's `prime_code` gives it; all are run then.

    Extra keys: `passed` and `total` tests (test code is one), `verdict` ("pass", "wrong answer", "runtime error",
    "timeout", "memory", "output limit", "compile error", "no code") and `feedback`, one line.

    Raises:
        ValueError: `ground_truth` holds no tests.
        RewardUnavailable: SandboxFusion does not answer.
    """
    extra_info = extra_info or {}
    tests = _read(data_source, ground_truth, extra_info)
    total = len(tests.pairs) or 1
    code = last_code_block(after_thinking(solution_str) or "", _LANGUAGES)
    if not (code or "").strip():
        return _result(0, total, "no code", "")
    if len(code) > MAX_CODE:
        return _result(0, total, "compile error", f"a program of {len(code)} characters")
    sandbox = _sandbox(sandbox_fusion_url, memory_limit_mb)
    end = time.monotonic() + (_deadline() if deadline is None else deadline)
    prefix = extra_info.get("prefix") or ""
    if tests.code:
        seconds = min(timeout, end - time.monotonic())
        outcome = sandbox.run_tests(code, tests.code, prefix, tests.entry_points, seconds)
        if outcome.verdict == "bad row":
            raise ValueError(
                f"ground_truth of {data_source!r}: {outcome.feedback}; put asserts on it into 'functional'")
        return _result(int(outcome.verdict == "pass"), 1, outcome.verdict, outcome.feedback)
    return _run_pairs(sandbox, f"{prefix}\n{code}" if prefix else code, tests.pairs, timeout, end, continuous)


def _run_pairs(sandbox: object, code: str, pairs: list[tuple[str, str]], timeout: float, end: float,
               continuous: bool) -> dict[str, object]:
    passed, first = 0, ("pass", "")
    for stdin, expected in pairs:
        seconds = min(timeout, end - time.monotonic())
        if seconds <= 0:
            first = first if first[0] != "pass" else ("timeout", "the answer's time was up")
            break
        outcome = sandbox.run_program(code, stdin.encode(), seconds)
        verdict, feedback = outcome.verdict, outcome.feedback
        if verdict == "ok":
            found = outcome.stdout.decode(errors="replace")
            verdict = "pass" if same_output(found, expected) else "wrong answer"
            feedback = "" if verdict == "pass" else f"{found.strip()[:80]!r}, expected {expected.strip()[:80]!r}"
        passed += verdict == "pass"
        if verdict != "pass":
            first = first if first[0] != "pass" else (verdict, feedback)
            if not continuous or verdict == "compile error":
                break
    return _result(passed, len(pairs), *first, continuous=continuous)


def _result(passed: int, total: int, verdict: str, feedback: str, continuous: bool = False) -> dict[str, object]:
    acc = float(passed == total)
    return {"score": passed / total if continuous else acc, "acc": acc, "passed": passed, "total": total,
            "verdict": verdict, "feedback": feedback[:200]}  # yapf: disable


def _deadline() -> float:
    pool = os.environ.get("REWARD_TIMEOUT")
    return min(SECONDS_PER_ANSWER, 0.9 * float(pool)) if pool else SECONDS_PER_ANSWER


def _sandbox(url: str | None, memory_limit_mb: int | None) -> object:
    from reward_score.sandbox import Limits, LocalSandbox, RemoteSandbox
    limits = Limits(seconds=3600.0, memory_mb=memory_limit_mb or Limits.memory_mb)
    url = url or os.environ.get("SANDBOX_FUSION_SERVERS")
    return RemoteSandbox(url, limits) if url else LocalSandbox(limits)


def _read(data_source: str, ground_truth: object, extra_info: dict) -> Tests:
    """The row's tests.

    Raises:
        ValueError: there are none.
    """
    try:
        truth = json.loads(ground_truth) if isinstance(ground_truth, str) else ground_truth
    except ValueError as error:
        raise ValueError(f"ground_truth of {data_source!r} is no JSON: {error}") from None
    if isinstance(truth, dict) and isinstance(truth.get("functional"), str) and truth["functional"].strip():
        return Tests(code=truth["functional"], entry_points=_shadowing(extra_info))
    if not isinstance(truth, dict) or truth.get("inputs") is None or truth.get("outputs") is None:
        raise ValueError(
            f"ground_truth of {data_source!r} must hold 'functional' (test code), or 'inputs' and 'outputs'; "
            f"its keys: {sorted(truth) if isinstance(truth, dict) else type(truth).__name__}")
    inputs, outputs = list(truth["inputs"]), list(truth["outputs"])
    if not inputs or len(inputs) != len(outputs):
        raise ValueError(f"ground_truth of {data_source!r} has {len(inputs)} inputs and {len(outputs)} outputs; "
                         "it needs as many of each, and one at least")
    name = truth.get("fn_name")
    if not name:
        return Tests(pairs=[(_text(stdin), _text(stdout)) for stdin, stdout in zip(inputs, outputs, strict=True)])
    if not str(name).isidentifier():
        raise ValueError(f"ground_truth of {data_source!r}: fn_name {name!r} is no name of a function")
    cases = [[_arguments(given), _value(expected)] for given, expected in zip(inputs, outputs, strict=True)]
    return Tests(code=_CALLS.format(cases=json.dumps(cases), name=name, tolerance=RELATIVE_TOLERANCE),
                 entry_points=[name])


def _text(value: object) -> str:
    return value if isinstance(value, str) else "\n".join(map(str, value))


def _arguments(given: object) -> list[object]:
    """APPS: arguments as a list, or as lines of JSON."""
    if isinstance(given, str):
        return [json.loads(line) for line in given.splitlines() if line.strip()]
    return list(given)


def _value(expected: object) -> object:
    try:
        return json.loads(expected) if isinstance(expected, str) else expected
    except ValueError:
        return expected


def _shadowing(extra_info: dict) -> list[str]:
    """Python's own function names that the reference defines anew, as MBPP's `def sum(a, b)`."""
    names = {extra_info.get("function_name")}
    try:
        body = parse(extra_info.get("reference") or "").body
    except SyntaxError:
        body = []
    names |= {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return sorted(name for name in names if isinstance(name, str) and hasattr(builtins, name))


def same_output(found: str, expected: str) -> bool:
    """Whether a program printed what it should, as upstream compares it.

    Line by line and word by word, without the white space at the ends. Decimals are equal within 1e-6, relative or
    absolute; integers exactly; `Yes` equals `YES`.
    """
    if found.strip() == expected.strip():
        return True
    lines, wanted = (text.strip().splitlines() for text in (found, expected))
    if len(lines) != len(wanted):
        return False
    return all(line.split() == other.split() or _same_line(line.split(), other.split())
               for line, other in zip(lines, wanted, strict=True))  # yapf: disable


def _same_line(words: list[str], wanted: list[str]) -> bool:
    return len(words) == len(wanted) and all(map(_same_word, words, wanted))


def _same_word(word: str, wanted: str) -> bool:
    if word == wanted:
        return True
    if wanted.lower() in ("yes", "no"):
        return word.lower() == wanted.lower()
    if not set(wanted) & set(".eE") or len(word) > 400:
        return False
    try:
        a, b = float(word), float(wanted)
    except ValueError:
        return False
    return abs(a - b) <= RELATIVE_TOLERANCE * max(1.0, abs(b))
