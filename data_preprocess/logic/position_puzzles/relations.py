"""What a clue may say about the places of one, two or three things in a line; sets of places are bit masks.

Each relation is given by one function `(place, size, number) -> boxes`: if the clue's first thing is at `place`, then
the others are in one of the boxes (a mask for each other thing). A relation of one thing gives `[()]` (yes) or `[]`.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

Boxes = list[tuple[int, ...]]
Narrow = Callable[[tuple[int, ...]], tuple[int, ...]]


class Clue(NamedTuple):
    """A relation by its name, the things it is about (numbers of variables), and its number if it has one."""

    kind: str
    of: tuple[int, ...]
    number: int = 0


def _all(size: int) -> int:
    return (1 << size) - 1


def _at(place: int, size: int) -> int:
    return 1 << place if 0 <= place < size else 0


def _left(place: int) -> int:
    return (1 << place) - 1


def _right(place: int, size: int) -> int:
    return _all(size) & ~_left(place + 1)


def _but(place: int, size: int) -> int:
    return _all(size) & ~_at(place, size)


def _same_parity(place: int, size: int) -> int:
    return sum(1 << other for other in range(place % 2, size, 2))


def _if(condition: bool) -> Boxes:
    return [()] if condition else []


def _both_ways(one: int, other: int) -> Boxes:
    return [(one, other), (other, one)]


# The first thing's place is p, the line is n long, k is the clue's number.
BOXES: dict[str, Callable[[int, int, int], Boxes]] = {
    "at": lambda p, n, k: _if(p == k - 1),
    "far_left": lambda p, n, k: _if(p == 0),
    "far_right": lambda p, n, k: _if(p == n - 1),
    "middle": lambda p, n, k: _if(2 * p == n - 1),
    "at_an_end": lambda p, n, k: _if(p in (0, n - 1)),
    "odd": lambda p, n, k: _if(p % 2 == 0),
    "even": lambda p, n, k: _if(p % 2 == 1),
    "same": lambda p, n, k: [(_at(p, n),)],
    "different": lambda p, n, k: [(_but(p, n),)],
    "directly_left": lambda p, n, k: [(_at(p + 1, n),)],
    "directly_right": lambda p, n, k: [(_at(p - 1, n),)],
    "next_to": lambda p, n, k: [(_at(p - 1, n) | _at(p + 1, n),)],
    "apart": lambda p, n, k: [(_at(p - k - 1, n) | _at(p + k + 1, n),)],
    "left_of": lambda p, n, k: [(_right(p, n),)],
    "right_of": lambda p, n, k: [(_left(p),)],
    "not_left_of": lambda p, n, k: [(_left(p + 1),)],
    "not_right_of": lambda p, n, k: [(_right(p - 1, n),)],
    "same_parity": lambda p, n, k: [(_same_parity(p, n),)],
    "other_parity": lambda p, n, k: [(_same_parity(p + 1, n),)],
    "directly_between": lambda p, n, k: _both_ways(_at(p - 1, n), _at(p + 1, n)),
    "between": lambda p, n, k: _both_ways(_left(p), _right(p, n)),
    "same_as_one": lambda p, n, k: _both_ways(_at(p, n), _but(p, n)),
    "same_as_any": lambda p, n, k: _both_ways(_at(p, n), _all(n)),
    "not_same_as_both": lambda p, n, k: _both_ways(_but(p, n), _all(n)),
}


def number_of_things(kind: str) -> int:
    return 1 + max(len(box) for place in range(5) for box in BOXES[kind](place, 5, 1))


def holds(clue: Clue, places: tuple[int, ...], size: int) -> bool:
    """Whether the clue is true; `places` has the place of each variable."""
    first, *others = (places[thing] for thing in clue.of)
    return any(all(mask >> place & 1 for mask, place in zip(box, others, strict=True))
               for box in BOXES[clue.kind](first, size, clue.number))  # yapf: disable


@cache
def narrower(kind: str, size: int, number: int) -> Narrow:
    """The function from the masks of a clue's things to those places which the clue allows; zeros if there are none."""
    boxes = [BOXES[kind](place, size, number) for place in range(size)]

    @lru_cache(maxsize=1 << 13)
    def narrow(masks: tuple[int, ...]) -> tuple[int, ...]:
        first, *others = masks
        allowed = [0] * len(masks)
        for place in range(size):
            for box in boxes[place] if first >> place & 1 else ():
                meets = [mask & other for mask, other in zip(box, others, strict=True)]
                if all(meets):
                    allowed = [old | new for old, new in zip(allowed, [1 << place, *meets], strict=True)]
        return tuple(allowed)

    return narrow
