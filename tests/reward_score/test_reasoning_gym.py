import json

import pytest
import reasoning_gym

from reward_score import default_compute_score
from tests.support.reward_cases import Case

TASKS = [
    "spell_backward", "chain_sum", "countdown", "gsm_symbolic", "rearc", "binary_matrix", "n_queens",
    "simple_integration", "polynomial_multiplication", "spiral_matrix", "prime_factorization", "game_of_life_halting",
    "zebra_puzzles"
]

SPELLING = {"task": "spell_backward", "entry": '{"question": "", "answer": "cba", "metadata": {"word": "abc"}}'}
SUM = {"task": "chain_sum", "entry": json.dumps(reasoning_gym.create_dataset("chain_sum", seed=7, size=1)[0])}
TOTAL = json.loads(SUM["entry"])["answer"]
CASES = {
    "reasoning_gym": [
        Case("right", "<answer>cba</answer>", "cba", 1.0, SPELLING),
        Case("right, no tag", "cba", "cba", 1.0, SPELLING),
        Case("right sum after thinking", f"<think>1</think><answer>{TOTAL}</answer>", TOTAL, 1.0, SUM),
        Case("several lines", "so\n<answer>\ncba\n</answer>\n", "cba", 1.0, SPELLING),
        Case("wrong", "<answer>xyz</answer>", "cba", 0.0, SPELLING),
        Case("empty", "", "cba", 0.0, SPELLING),
        Case("unclosed thinking", "<think><answer>cba</answer>", "cba", 0.0, SPELLING),
        Case("last answer is wrong", "<answer>cba</answer><answer>zzz</answer>", "cba", 0.0, SPELLING),
        Case("unfinished answer", "<answer>cba</answer><answer>cb", "cba", 0.0, SPELLING | {"exact": True}),
        Case("near miss, exact", "cb", "cba", 0.0, SPELLING | {"exact": True}),
        Case("hack: code", "<answer>__import__('os')._exit(0)</answer>", "cba", 0.0, SPELLING | {"exact": True}),
        Case("huge", "x" * 1_000_000, "cba", 0.0, SPELLING | {"exact": True}),
    ]
}


@pytest.mark.parametrize("case", CASES["reasoning_gym"], ids=lambda case: case.name)
def test_case(case):
    assert default_compute_score("reasoning_gym", case.answer, case.truth, case.extra_info)["score"] == case.score


@pytest.fixture(scope="module")
def entries():
    """One entry per task, as it comes out of a parquet row: JSON text."""
    return {task: json.dumps(reasoning_gym.create_dataset(task, seed=7, size=1)[0], default=str) for task in TASKS}


def score(response, entry, task="spell_backward", truth=None, **extra):
    truth = json.loads(entry)["answer"] if truth is None else truth
    return default_compute_score("reasoning_gym/" + task, response, truth, {"task": task, "entry": entry, **extra})


def answer_of(entry):
    return str(json.loads(entry)["answer"])


@pytest.mark.parametrize(("task", "answer"), [("coin_flip", "0."), ("coin_flip", "nan"), ("coin_flip", "9" * 400),
                                              ("complex_arithmetic", "nan"), ("complex_arithmetic", "nan+nanj")])
def test_answers_that_fool_a_verifier(task, answer):
    for entry in reasoning_gym.create_dataset(task, seed=1, size=12):
        text = json.dumps(entry)
        assert score(answer_of(text), text, task)["score"] == 1.0
        assert score(answer, text, task)["score"] == (answer == "0." and float(answer_of(text)) < 1e-4)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("wrap", ["{}", "<think>no</think>\n{}", "so <answer>\n{}\n</answer> bye"])
def test_reference_scores_one(entries, task, wrap):
    outcome = score(wrap.format(answer_of(entries[task])), entries[task], task)
    assert outcome == {"score": 1.0, "acc": 1.0, "pred": answer_of(entries[task]).strip()[:200], "refused": ""}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("response", ["", "qqq", "<think>cut", "<answer></answer>", "1 \n 2", "\\boxed{", "[[1, 0]]"])
def test_garbage_scores_less(entries, task, response):
    outcome = score(response, entries[task], task)
    assert outcome["score"] < 0.5
    assert outcome["acc"] == 0.0


def test_order_of_answer_tag_box_and_text(entries):
    entry, right = entries["spell_backward"], answer_of(entries["spell_backward"])
    assert score(rf"\boxed{{x}} <answer>{right}</answer>", entry)["acc"] == 1.0
    assert score(rf"it is \boxed{{{right}}}", entry)["acc"] == 1.0
    assert score(rf"<answer>{right}</answer><answer>x</answer>", entry)["acc"] == 0.0


def test_part_credit_is_not_accuracy_and_exact_gives_none(entries):
    entry, right = entries["chain_sum"], answer_of(entries["chain_sum"])
    response = f"it is {right} I think"
    native = score(response, entry, "chain_sum")
    assert 0 < native["score"] < 1
    assert native["acc"] == 0.0
    assert score(response, entry, "chain_sum", exact=True)["score"] == 0.0
    assert score(right, entry, "chain_sum", exact=True)["score"] == 1.0
    assert default_compute_score("reasoning_gym", "7", "7", {"exact": True})["score"] == 1.0


@pytest.mark.parametrize(("task", "attack"), [
    ("countdown", "__import__('pathlib').Path('{}').touch()"),
    ("puzzle24", "open('{}','w')"),
    ("simple_integration", "exec(\"open('{}','w')\")"),
    ("polynomial_multiplication", "open('{}','w')"),
    ("binary_matrix", "[open('{}','w')]"),
    ("spiral_matrix", "__import__('pathlib').Path('{}').touch()"),
    ("string_insertion", "open('{}','w').name"),
    ("n_queens", "[exec(\"open('{}','w')\")]"),
])
def test_answers_are_never_run(tmp_path, task, attack):
    entry = reasoning_gym.create_dataset(task, seed=7, size=1)[0]
    outcome = score(attack.format(tmp_path / "owned"), json.dumps(entry, default=str), task)
    assert outcome["score"] < 0.5
    assert outcome["refused"]
    assert not (tmp_path / "owned").exists()


def test_formula_bomb_is_refused(entries):
    assert score("9**9**9**9", entries["countdown"], "countdown")["refused"]


def test_entry_as_dict_and_metadata_as_text():
    entry = {"question": "", "answer": "cba", "metadata": json.dumps({"word": "abc"})}
    extra_info = {"task": "spell_backward", "entry": entry}
    assert default_compute_score("reasoning_gym", "cba", "cba", extra_info)["acc"] == 1.0
    assert isinstance(entry["metadata"], str)


@pytest.mark.parametrize(("extra_info", "words"), [
    (None, "needs 'task'"),
    ({
        "task": "spell_backward"
    }, "'entry'"),
    ({
        "task": "spell_forward",
        "entry": "{}"
    }, "'spell_forward' is not a generator"),
    ({
        "task": "chain_sum",
        "entry": "{}"
    }, "does not fit the generator 'chain_sum'"),
])
def test_bad_rows_are_named(extra_info, words):
    with pytest.raises(ValueError, match=words):
        default_compute_score("reasoning_gym", "1", "1", extra_info)
