r"""What rows of mathematics share: their references, and responses that are right or nearly right."""

from collections.abc import Sequence

from reward_score.equivalence.judging import Verdict, equivalent
from reward_score.equivalence.numbers import read_number
from reward_score.equivalence.text import canonical
from reward_score.extraction import last_boxed

PRED_LENGTH = 200  # characters of an answer that a result keeps


def references(ground_truth: object, data_source: str) -> list[str]:
    """A row's references as strings; a list means that any of them is right, and one in a box is taken out of it.

    Raises:
        ValueError: there is none, or one is empty.
    """
    if hasattr(ground_truth, "tolist"):  # a NumPy array or scalar from parquet
        ground_truth = ground_truth.tolist()
    several = isinstance(ground_truth, Sequence) and not isinstance(ground_truth, str)
    truths = ["" if truth is None else str(truth) for truth in (ground_truth if several else [ground_truth])]
    truths = [last_boxed(truth) or truth for truth in truths]
    if not truths or not all(canonical(truth) for truth in truths):
        raise ValueError(f"reward_model.ground_truth of {data_source!r} is empty ({ground_truth!r}); "
                         "write the answer there, as text or as a list of equally right texts")
    return truths


def judge_any(truths: list[str], pred: str) -> Verdict:
    """The first reference that equals `pred`, else the reason why one could not be compared, if any."""
    refused = ""
    for truth in truths:
        verdict = equivalent(truth, pred)
        if verdict.equal:
            return verdict
        refused = refused or verdict.refused
    return Verdict(False, refused)


def boxed_reference(ground_truth: object, extra_info: dict) -> str:
    """A response whose box holds the (first) reference."""
    return rf"The answer is \boxed{{{references(ground_truth, 'this row')[0]}}}."


def boxed_near_misses(ground_truth: object, extra_info: dict) -> list[str]:
    """Wrong responses close to a right one: other values, wrong factors, unfinished and unboxed answers."""
    truth, *others = references(ground_truth, "this row")
    values = [f"0={truth}", f"{truth}, 123456789"]
    number = read_number(canonical(truth))
    if number is not None and not others:  # beside other references, one more or less may be right
        values += [str(number.value + 1)]
        values += [str(other) for other in (number.value * 100, number.value / 100, -number.value) if number.value]
    unfinished = [rf"\boxed{{{truth}", rf"<think>\boxed{{{truth}}}", rf"\boxed{{{truth}}} or rather \boxed{{"]
    return [rf"\boxed{{{value}}}" for value in values] + unfinished
