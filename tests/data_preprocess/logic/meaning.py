"""What each kind of clue means, and brute force over all arrangements; written without the package's relations."""

from itertools import permutations

# Of numbers 1, 2, ... from left to right: n is how many there are, k the clue's number, then the things' numbers.
MEANING = {
    "at": lambda n, k, a: a == k,
    "far_left": lambda n, k, a: a == 1,
    "far_right": lambda n, k, a: a == n,
    "middle": lambda n, k, a: a - 1 == n - a,
    "at_an_end": lambda n, k, a: a == 1 or a == n,
    "odd": lambda n, k, a: a % 2 == 1,
    "even": lambda n, k, a: a % 2 == 0,
    "same": lambda n, k, a, b: a == b,
    "different": lambda n, k, a, b: a != b,
    "directly_left": lambda n, k, a, b: b - a == 1,
    "directly_right": lambda n, k, a, b: a - b == 1,
    "next_to": lambda n, k, a, b: abs(a - b) == 1,
    "apart": lambda n, k, a, b: len(range(min(a, b) + 1, max(a, b))) == k and a != b,
    "left_of": lambda n, k, a, b: a < b,
    "right_of": lambda n, k, a, b: a > b,
    "not_left_of": lambda n, k, a, b: not a < b,
    "not_right_of": lambda n, k, a, b: not a > b,
    "same_parity": lambda n, k, a, b: a % 2 == b % 2,
    "other_parity": lambda n, k, a, b: a % 2 != b % 2,
    "directly_between": lambda n, k, a, b, c: sorted((b, c)) == [a - 1, a + 1],
    "between": lambda n, k, a, b, c: min(b, c) < a < max(b, c),
    "same_as_one": lambda n, k, a, b, c: (a == b) + (a == c) == 1,
    "same_as_any": lambda n, k, a, b, c: a in (b, c),
    "not_same_as_both": lambda n, k, a, b, c: not a == b == c,
}


def is_true(clue, number_of, size):
    """`clue`: a dict with kind, of, number; `number_of`: thing -> its number in the line."""
    return MEANING[clue["kind"]](size, clue["number"], *(number_of[thing] for thing in clue["of"]))


def arrangements(groups, clues):
    """Every {thing: number} in which each group fills the line once and all clues are true."""
    found = [{}]
    for group in groups:
        wider = [{**old, **dict(zip(order, range(1, len(group) + 1), strict=True))}
                 for old in found for order in permutations(group)]  # yapf: disable
        known = [clue for clue in clues if set(clue["of"]) <= wider[0].keys()] if wider else []
        found = [numbers for numbers in wider if all(is_true(clue, numbers, len(group)) for clue in known)]
    return found
