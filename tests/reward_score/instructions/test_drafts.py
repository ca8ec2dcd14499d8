import pytest

from reward_score.instructions.drafts import near_misses, write
from reward_score.instructions.registry import holds, read_arguments
from tests.reward_score.instructions.test_checkers import TABLE


def demand(name, **changes):
    return name, read_arguments(name, TABLE[name][0] | changes)


@pytest.mark.parametrize("name", TABLE)
def test_each_instruction_alone_has_a_draft(name):
    text = write([demand(name)])
    assert text and holds(name, text, demand(name)[1])


@pytest.mark.parametrize("name", TABLE)
def test_near_misses_are_wrong(name):
    misses = near_misses([demand(name)])
    assert "" in misses
    assert [miss for miss in misses if "<think>" not in miss and holds(name, miss, demand(name)[1])] == []


def test_several_at_once():
    names = [
        "keywords:existence", "length_constraints:number_words", "punctuation:no_comma", "startend:quotation",
        "change_case:english_lowercase"
    ]
    text = write([demand(name, num_words=50) for name in names])
    assert text and len(near_misses([demand(name) for name in names])) == 5


def test_a_contradiction_has_no_draft():
    demands = [demand("change_case:english_lowercase"), demand("change_case:english_capital")]
    assert write(demands) is None
    assert near_misses(demands) == ["", "<think>"]
