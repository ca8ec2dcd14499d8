"""`reasoning_gym*`: generated puzzles, scored by the generator's own verifier (github.com/open-thought/reasoning-gym).

A parquet column must be homogeneous while metadata differs per generator, so a row carries its entry as text:
`extra_info = {"task": "spell_backward", "entry": '{"question": ..., "answer": ..., "metadata": {...}}'}`.
"""

import json
import math
import re
from collections.abc import Callable
from functools import lru_cache

from reward_score.equivalence.complexity import too_complex
from reward_score.equivalence.numbers import read_number
from reward_score.extraction import after_thinking, last_boxed, last_tag
from reward_score.registry import register_reward

# Verifiers that call eval() on the answer, and what an answer may consist of: neither a call nor an attribute.
_LITERAL = re.compile(r"""[\w\s,'"\[\]-]*""", re.ASCII)
_EVALUATED_AS_LITERAL = frozenset({"binary_matrix", "n_queens", "spiral_matrix", "string_insertion"})
# Verifiers that give the answer to SymPy's parse_expr, which is eval() with SymPy's names.
_FORMULA = re.compile(r"[0-9a-zA-Z+\-*/^().\s]*")
_FORMULA_NAMES = frozenset({
    "sin", "cos", "tan", "sec", "csc", "cot", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "log", "ln",
    "sqrt", "pi"
})
_EVALUATED_AS_FORMULA = frozenset(
    {"countdown", "intermediate_integration", "polynomial_multiplication", "puzzle24", "simple_integration"})
_ANY_TEXT_PASSES = frozenset({"game_of_life_halting"})  # its verifier accepts every non-empty answer
_ANY_PREFIX_PASSES = frozenset({"coin_flip"})  # its verifier gives `0` full marks for 0.3125
_TOLERANCE = 1e-4  # of a probability, as that verifier has it
_NAN_PASSES = frozenset({"complex_arithmetic"})  # its verifier takes min(1, exp(-distance))
_COMPARED_AS_TUPLES = frozenset({"arc_agi", "rearc"})  # JSON made lists of them


def _reference(ground_truth: object, extra_info: dict) -> str | None:
    """None where the generator has no answer of its own."""
    answer = ground_truth if extra_info.get("exact") else _task_and_entry("reasoning_gym", extra_info)[1].get("answer")
    return None if answer is None else f"<answer>{answer}</answer>"


@register_reward(
    "reasoning_gym*",
    needs_extra_info=("task", "entry"),
    libraries=("reasoning_gym",),
    answer_format="<answer>...</answer>; without one the boxed text, else all that follows the thinking",
    reference_answer=_reference,
    near_misses=lambda truth, extra_info: ["<answer></answer>", f"<answer>{truth}</answer><answer>?</answer>"])
def compute_score(data_source: str,
                  solution_str: str,
                  ground_truth: object,
                  extra_info: dict | None = None,
                  **kwargs: object) -> dict[str, object]:
    """The native verifier's score in [0, 1]; `acc` is 1.0 only for a full score.

    The answer is the last `<answer>`, else the last boxed text, else everything after the thinking.
    `extra_info["exact"]` true compares it with `ground_truth` as strings instead (the verifiers give part credit).
    Extra keys: `pred`, and `refused`, why an answer was not shown to the verifier (empty if it was).

    Raises:
        ValueError: `extra_info` lacks `task` or `entry`, or they do not fit together.
    """
    extra_info = extra_info or {}
    pred = extract_answer(solution_str)
    refused = ""
    if extra_info.get("exact"):
        score = float(pred == str(ground_truth))
    else:
        task, entry = _task_and_entry(data_source, extra_info)
        refused = _unsafe(task, pred or "")
        score = 0.0 if refused or pred is None else _native_score(data_source, task, pred, entry)
    return {"score": score, "acc": float(score == 1.0), "pred": (pred or "")[:200], "refused": refused}


def extract_answer(solution_str: str) -> str | None:
    """The text to be judged, stripped; None where the response was cut while thinking."""
    answer = after_thinking(solution_str)
    if answer is None:
        return None
    for found in (last_tag(answer, "answer"), last_boxed(answer)):
        if found is not None:
            return found
    return answer.strip()


def _task_and_entry(data_source: str, extra_info: dict) -> tuple[str, dict]:
    task, entry = extra_info.get("task"), extra_info.get("entry")
    if not task or entry is None:
        raise ValueError(
            f"extra_info of {data_source!r} needs 'task' (the generator's name) and 'entry' (question, answer, "
            f"metadata, as JSON); it has {sorted(extra_info)}")
    entry = dict(json.loads(entry) if isinstance(entry, str) else entry)
    if isinstance(entry.get("metadata"), str):
        entry["metadata"] = json.loads(entry["metadata"])
    return task, _to_tuples(entry) if task in _COMPARED_AS_TUPLES else entry


def _to_tuples(value: object) -> object:
    if isinstance(value, dict):
        return {key: _to_tuples(item) for key, item in value.items()}
    return tuple(_to_tuples(item) for item in value) if isinstance(value, list) else value


def _unsafe(task: str, answer: str) -> str:
    """Why `answer` must not reach a verifier that evaluates it, or that it would fool."""
    if task in _EVALUATED_AS_LITERAL and not _LITERAL.fullmatch(answer):
        return "not a literal"
    if task in _EVALUATED_AS_FORMULA:
        names = re.findall(r"[a-zA-Z]+", answer)
        if not _FORMULA.fullmatch(answer) or any(len(name) > 1 and name not in _FORMULA_NAMES for name in names):
            return "not a formula"
        return too_complex(answer)
    return "not a number" if task in _NAN_PASSES and "nan" in answer.lower() else ""


def _native_score(data_source: str, task: str, answer: str, entry: dict) -> float:
    if task in _ANY_TEXT_PASSES:
        return float(answer == str(entry["answer"]))
    if task in _ANY_PREFIX_PASSES:
        return float(abs(_probability(answer) - _probability(str(entry["answer"]))) <= _TOLERANCE)
    scorer = _scorer(task)
    try:
        return float(scorer(answer, entry))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 -- verifiers raise on answers that they cannot read, and on entries
        try:
            scorer(entry["answer"], entry)
        except Exception:  # noqa: BLE001 -- not even its own answer: the row is at fault
            raise ValueError(f"entry of {data_source!r} does not fit the generator {task!r}: {error!r}") from error
        return 0.0


def _probability(text: str) -> float:
    """`0.25`, `1/4`, `2.5e-1`; NaN for anything else."""
    number = read_number(text)
    try:
        return float(number.value if number else text)
    except (ValueError, OverflowError):
        return math.nan


@lru_cache(maxsize=128)
def _scorer(task: str) -> Callable[[str, dict], float]:
    from reasoning_gym import get_score_answer_fn

    try:
        return get_score_answer_fn(task)
    except ValueError as error:
        raise ValueError(f"extra_info.task {task!r} is not a generator of reasoning_gym") from error
