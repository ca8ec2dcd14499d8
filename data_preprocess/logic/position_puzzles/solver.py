"""All solutions of a puzzle about places in a line: propagation over bit masks, and search where it stops."""

from collections.abc import Iterator, Sequence

from data_preprocess.logic.position_puzzles.relations import Clue, narrower

Places = tuple[int, ...]  # of each variable


class Problem:
    """Groups of variables, each group a permutation of the places 0 to size - 1, and clues that tie them together."""

    def __init__(self, size: int, groups: int, clues: Sequence[Clue] = ()) -> None:
        """Variables are numbered by group: those of group g are `g * size` to `g * size + size - 1`."""
        self.size, self.groups = size, groups
        self._clues: list[tuple] = []
        self._watching: list[list[int]] = [[] for _ in range(size * groups)]
        for clue in clues:
            self.add(clue)

    def add(self, clue: Clue) -> None:
        for variable in clue.of:
            self._watching[variable].append(len(self._clues))
        self._clues.append((narrower(clue.kind, self.size, clue.number), clue.of))

    def open_masks(self) -> list[int]:
        """Every place possible for every variable."""
        return [(1 << self.size) - 1] * (self.size * self.groups)

    def propagate(self, masks: list[int], clues: Sequence[int] | None = None) -> bool:
        """Takes impossible places out of `masks`, in place, until nothing changes; False if no place is left for one.

        Args:
            clues: where to begin; None: everywhere.
        """
        pending = set(range(len(self._clues)) if clues is None else clues)
        groups = set(range(self.groups))
        while pending or groups:
            if pending:
                done = self._apply(pending.pop(), masks, pending, groups)
            else:
                done = self._permute(groups.pop(), masks, pending, groups)
            if not done:
                return False
        return True

    def _apply(self, index: int, masks: list[int], pending: set[int], groups: set[int]) -> bool:
        narrow, things = self._clues[index]
        before = tuple([masks[thing] for thing in things])
        after = narrow(before)
        if after == before:
            return True
        for thing, mask in zip(things, after, strict=True):
            self._set(thing, mask, masks, pending, groups)
        return after[0] != 0

    def _permute(self, group: int, masks: list[int], pending: set[int], groups: set[int]) -> bool:
        """A place that one variable has is no other's; a place that only one variable may have is its own."""
        variables = range(group * self.size, (group + 1) * self.size)
        once = twice = taken = 0
        for variable in variables:
            mask = masks[variable]
            twice |= once & mask
            once |= mask
            if not mask & (mask - 1):
                if taken & mask:
                    return False
                taken |= mask
        only = once & ~twice
        for variable in variables:
            mask = masks[variable]
            if mask & (mask - 1):
                self._set(variable, (mask & only) or (mask & ~taken), masks, pending, groups)
        return once == (1 << self.size) - 1

    def _set(self, variable: int, mask: int, masks: list[int], pending: set[int], groups: set[int]) -> None:
        if mask != masks[variable]:
            masks[variable] = mask
            pending.update(self._watching[variable])
            groups.add(variable // self.size)


def solutions(problem: Problem) -> Iterator[Places]:
    return (places for places in _walk(problem) if places is not None)


def unique_solution(problem: Problem, most_nodes: float = float("inf")) -> Places | None:
    """The only solution; None if there is none, if there are more, or if neither was proven within that many nodes."""
    found = None
    for nodes, places in enumerate(_walk(problem), start=1):
        if nodes > most_nodes or (places and found):
            return None
        found = found or places
    return found


def is_solved(masks: Sequence[int]) -> bool:
    return all(mask and not mask & (mask - 1) for mask in masks)


def _walk(problem: Problem) -> Iterator[Places | None]:
    """Depth first over the variable with the fewest places; one item per node: a solution or None."""
    stack = [problem.open_masks()]
    while stack:
        masks = stack.pop()
        if not problem.propagate(masks):
            yield None
        elif is_solved(masks):
            yield tuple(mask.bit_length() - 1 for mask in masks)
        else:
            yield None
            stack.extend(_branches(masks, problem.size))


def _branches(masks: list[int], size: int) -> Iterator[list[int]]:
    count, variable = min((mask.bit_count(), variable) for variable, mask in enumerate(masks) if mask & (mask - 1))
    assert count > 1
    for place in range(size):
        if masks[variable] >> place & 1:
            yield [*masks[:variable], 1 << place, *masks[variable + 1:]]
