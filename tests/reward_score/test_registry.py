import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import reward_score
from reward_score import default_compute_score, known_patterns, normalize_result, register_reward, registry, resolve
from reward_score.custom import load_custom_function

FOLDER = Path(reward_score.__file__).parent


@pytest.fixture
def rewards(monkeypatch):
    """An own table, so that registering leaves no trace."""
    table = {}
    monkeypatch.setattr(registry, "_REWARDS", table)
    return table


def register(*patterns, value=1.0):

    @register_reward(*patterns)
    def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
        return value

    return compute_score


def test_exact_name_beats_pattern_and_long_pattern_beats_short(rewards):
    exact, short, long = register("math_exact"), register("math*"), register("math_e*")
    assert resolve("math_exact").function is exact
    assert resolve("math").function is short
    assert resolve("math_easy").function is long


def test_unknown_source_names_the_nearest():
    with pytest.raises(ValueError, match="'opnai/gsm8k'.*'openai/gsm8k'"):
        resolve("opnai/gsm8k")
    with pytest.raises(ValueError, match="nearest known pattern"):
        default_compute_score("", "", "")


def test_a_pattern_has_one_owner(rewards):
    register("a", "b*")
    with pytest.raises(ValueError, match="'b\\*' is already scored"):
        register("b*")


def test_known_patterns():
    assert {"openai/gsm8k", "math*", "aime*", "reasoning_gym*"} <= set(known_patterns())
    assert resolve("reasoning_gym/countdown").needs_extra_info == ("task", "entry")


@pytest.mark.parametrize(("value", "expected"), [
    (1, {
        "score": 1.0,
        "acc": 1.0
    }),
    (True, {
        "score": 1.0,
        "acc": 1.0
    }),
    (0.7, {
        "score": 0.7,
        "acc": 0.0
    }),
    (-1, {
        "score": -1.0,
        "acc": 0.0
    }),
    (np.float32(1), {
        "score": 1.0,
        "acc": 1.0
    }),
    ((0.5, "detail"), {
        "score": 0.5,
        "acc": 0.0
    }),
    ({
        "score": np.bool_(True),
        "acc": False,
        "note": "x"
    }, {
        "score": 1.0,
        "acc": 0.0,
        "note": "x"
    }),
    ({
        "score": 0.2,
        "parts": np.array([1, 2]),
        "of": {
            "a": (None, 2.5)
        }
    }, {
        "score": 0.2,
        "acc": 0.0,
        "parts": [1, 2],
        "of": {
            "a": [None, 2.5]
        }
    }),
])
def test_every_return_type_becomes_one_shape(value, expected):
    outcome = normalize_result(value, "task")
    assert outcome == expected
    assert type(outcome["score"]) is float
    assert type(outcome["acc"]) is float


@pytest.mark.parametrize(("value", "words"), [
    (None, "NoneType"),
    ("1.0", "str"),
    ((), "tuple"),
    ({
        "acc": 1
    }, "without 'score'"),
    ({
        "score": None
    }, "NoneType"),
    (float("nan"), "finite"),
    ({
        "score": 1,
        "acc": float("inf")
    }, "finite"),
    ({
        "score": 1,
        "thing": object()
    }, "'thing'"),
    (np.array([1.0]), "list"),
])
def test_bad_return_names_the_data_source(value, words):
    with pytest.raises(ValueError, match="some_task.*" + words):
        normalize_result(value, "some_task")


def test_extra_keyword_arguments_reach_the_function(rewards):
    seen = {}

    @register_reward("task")
    def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
        seen.update(kwargs, extra_info=extra_info)
        return 1

    default_compute_score("task", "a", "b", {"index": 3}, memory_limit_mb=5)
    assert seen == {"memory_limit_mb": 5, "extra_info": {"index": 3}}


def test_verl_import_path():
    import verl.utils.reward_score.zebra_puzzle as submodule

    from verl.utils import reward_score as verl_path
    assert verl_path.default_compute_score is default_compute_score
    assert verl_path._default_compute_score is default_compute_score
    assert submodule is verl_path.zebra_puzzle
    assert verl_path.gsm8k.compute_score("#### 42", "42") == 1.0
    assert verl_path.math.compute_score(r"\boxed{0.5}", r"\frac{1}{2}") == 1.0
    entry = {"question": "", "answer": "cba", "metadata": {"word": "abc"}}
    assert verl_path.reasoning_gym.compute_score("cba", "cba", {"task": "spell_backward", "entry": entry})["acc"] == 1.0
    for name, data_source in verl_path.TASKS.items():
        assert resolve(data_source).function.__module__.startswith("reward_score.")
        assert callable(getattr(verl_path, name).compute_score)


def test_importing_is_light():
    code = ("import sys, reward_score.pool, verl.utils.reward_score\n"
            "print([name for name in ('torch', 'ray', 'sympy', 'numpy', 'pandas', 'reasoning_gym', 'math_verify')"
            " if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=FOLDER.parent, check=True)
    assert done.stdout.strip() == "[]"


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "signal.alarm", "signal.setitimer", "signal.signal"}
FORBIDDEN_NAMES = {"sympify", "parse_expr"}  # which eval() what they are given
INSIDE_THE_SANDBOX = FOLDER / "sandbox" / "inside"  # runs in the child, where running model code is the purpose


def faults(text):
    tree = ast.parse(text)
    found = {name for name in calls(tree) if name in FORBIDDEN_CALLS or name.split(".")[-1] in FORBIDDEN_NAMES}
    return found | {name for name in imports(tree) if name.split(".")[0] == "random" or name.startswith("numpy.random")}


def test_no_code_is_evaluated_no_signal_timer_is_set_and_nothing_is_random():
    files = [file for file in sorted(FOLDER.rglob("*.py")) if not file.is_relative_to(INSIDE_THE_SANDBOX)]
    assert len(files) > 50
    assert {str(file.relative_to(FOLDER)): found for file in files if (found := faults(file.read_text()))} == {}
    assert faults("signal.alarm(1); eval('1'); import random") == {"signal.alarm", "eval", "random"}


def test_importing_needs_no_network_and_writes_nothing(tmp_path):
    code = (
        "import socket\n"
        "def refuse(*arguments): raise OSError('network at import')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "import pkgutil, importlib, reward_score\n"
        "for module in pkgutil.walk_packages(reward_score.__path__, 'reward_score.'):\n"
        "    if not module.name.startswith(('reward_score.sandbox.inside', 'reward_score.processes.fork_server')):\n"
        "        importlib.import_module(module.name)\n")
    done = subprocess.run([sys.executable, "-c", code],
                          capture_output=True,
                          text=True,
                          cwd=tmp_path,
                          env={
                              "PYTHONPATH": str(FOLDER.parent),
                              "HOME": str(tmp_path),
                              "PYTHONDONTWRITEBYTECODE": "1"
                          })
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_example_in_the_readme_works(rewards, tmp_path):
    example = (FOLDER / "README.md").read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "coin_flip.py").write_text(example)
    load_custom_function(str(tmp_path / "coin_flip.py"))
    scores = [
        default_compute_score("coin_flip/1", text, "heads")["score"]
        for text in (r"\boxed{Heads}", r"\boxed{tails}", "")
    ]
    assert scores == [1.0, 0.1, 0.0]
