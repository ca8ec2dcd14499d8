"""The clues of a zebra puzzle in words."""

from collections.abc import Sequence

SENTENCES = {
    "at": "{0} is number {number}.",
    "far_left": "{0} is the leftmost one.",
    "far_right": "{0} is the rightmost one.",
    "middle": "{0} is the one in the middle.",
    "at_an_end": "{0} is at one of the two ends of the row.",
    "odd": "{0} has an odd number.",
    "even": "{0} has an even number.",
    "same": "{0} is the same as {1}.",
    "different": "{0} is not the same as {1}.",
    "directly_left": "{0} is directly to the left of {1}.",
    "directly_right": "{0} is directly to the right of {1}.",
    "next_to": "{0} is directly next to {1}.",
    "apart": "There {are} exactly {number} {houses} between {0} and {1}.",
    "left_of": "{0} is somewhere to the left of {1}.",
    "right_of": "{0} is somewhere to the right of {1}.",
    "not_left_of": "{0} is not to the left of {1}, though the two may be the same.",
    "not_right_of": "{0} is not to the right of {1}, though the two may be the same.",
    "same_parity": "The numbers of {0} and {1} are both odd or both even.",
    "other_parity": "Of the numbers of {0} and {1}, one is odd and one is even.",
    "directly_between": "{0} is directly between {1} and {2}, next to both.",
    "between": "{0} is somewhere between {1} and {2}.",
    "same_as_one": "{0} is the same as {1} or the same as {2}, but not both.",
    "same_as_any": "{0} is the same as {1} or the same as {2}, or both.",
    "not_same_as_both": "It is not true that {0} is both the same as {1} and the same as {2}.",
}


def sentence(kind: str, houses: Sequence[str], number: int) -> str:
    """E.g. "The red house is directly next to Alma's house."; `houses` as the clue's relation orders them."""
    one = number == 1
    text = SENTENCES[kind].format(*houses,
                                  number=number,
                                  are="is" if one else "are",
                                  houses="house" if one else "houses")
    return text[0].upper() + text[1:]
