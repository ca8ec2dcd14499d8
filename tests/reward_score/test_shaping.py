import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_score.shaping import OverlongPenalty, Shaping, xml_format


@pytest.mark.parametrize(("shaping", "score", "reward"), [
    (Shaping(), 0.25, 0.25),
    (Shaping(scaling=10, bias=0.5), 1.0, 5.0),
    (Shaping(scaling=10, bias=0.5), 0.0, -5.0),
    (Shaping(scaling=0.5, bias=-1), 1.0, 1.0),
    (Shaping(scaling=0.5, bias=-1), -1.0, 0.0),
    (Shaping(check_xml_format=True), 0.0, 0.1),
    (Shaping(check_xml_format=True), 1.0, 1.0),
    (Shaping(overlong=OverlongPenalty(100, 20, 0.5)), 1.0, 0.5),
])
def test_reward(shaping, score, reward):
    assert shaping(score, max(score, 0.0), "<think>a</think><answer>b</answer>", 100) == pytest.approx(reward)


@pytest.mark.parametrize(("length", "penalty"), [(0, 0), (80, 0), (81, -0.1), (90, -1), (100, -2), (140, -2)])
def test_overlong_penalty_grows_over_its_buffer(length, penalty):
    assert OverlongPenalty(max_length=100, buffer=20, factor=2)(length) == pytest.approx(penalty)


@given(st.integers(0, 300), st.integers(1, 100))
def test_a_longer_answer_is_never_better(length, buffer):
    penalty = OverlongPenalty(100, buffer)
    assert -1 <= penalty(length + 1) <= penalty(length) <= 0


@pytest.mark.parametrize(("response", "formatted"), [
    ("<think>a</think><answer>b</answer>", True),
    (" <think>a < b\n</think>\n<answer>\nb</answer>\n", True),
    ("a</think><answer>b</answer>", True),
    ("<think>a</think>b", False),
    ("<answer>b</answer>", False),
    ("<think>a</think>hm <answer>b</answer>", False),
    ("<think>a</think><answer>b</answer> done", False),
    ("<think>a</think><answer>b", False),
    ("<think>a<think>b</think><answer>b</answer>", False),
    ("<think>a</think><answer>b</answer><answer>c</answer>", False),
    ("<think>a</think></think><answer>c</answer>", False),
    ("", False),
])
def test_xml_format(response, formatted):
    assert xml_format(response) is formatted
