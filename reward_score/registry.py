"""Which function scores which `data_source`.

A task is one file in this package whose function is decorated with `register_reward`. A `data_source` finds its
function by exact name first, then by the longest matching pattern (`fnmatch`: `*`, `?`, `[...]`), so `math*` and
`math_code` can coexist.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

RewardFunction = Callable[..., object]
Example = Callable[[object, dict], str | None]
NearMisses = Callable[[object, dict], list[str]]


@dataclass(frozen=True)
class Reward:
    """One registered task.

    Attributes:
        function: `compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs) -> float | dict`.
        patterns: the data sources it scores.
        needs_extra_info: keys that `extra_info` must hold; dataset checks read it before training starts.
        libraries: heavy modules that the function imports on first use; a pool imports them before it forks its
            workers.
        warm_up: `module:function`, called once in each process of a pool, before its first deadline starts.
        environment: variables without which no row can be scored; a run that lacks one does not start.
        services: what it needs outside Python, one phrase each: `STEM_LLM_JUDGE_URL (an OpenAI-compatible judge)`.
        answer_format: one sentence for people: what a response must look like to be read.
        reference_answer: `(ground_truth, extra_info) -> str | None`, a response in that format which scores full;
            None where the row does not contain one. The doctor scores it.
        near_misses: `(ground_truth, extra_info) -> list[str]`, responses close to a right one, all of them wrong.
        open_ended: whether right answers are told by their form alone (instruction following), so that a text written
            for another purpose may be right by chance.
    """

    function: RewardFunction
    patterns: tuple[str, ...]
    needs_extra_info: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    warm_up: str = ""
    environment: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    answer_format: str = ""
    reference_answer: Example | None = None
    near_misses: NearMisses | None = None
    open_ended: bool = False


_REWARDS: dict[str, Reward] = {}


def register_reward(*patterns: str,
                    needs_extra_info: tuple[str, ...] = (),
                    libraries: tuple[str, ...] = (),
                    warm_up: str = "",
                    environment: tuple[str, ...] = (),
                    services: tuple[str, ...] = (),
                    answer_format: str = "",
                    reference_answer: Example | None = None,
                    near_misses: NearMisses | None = None,
                    open_ended: bool = False) -> Callable[[RewardFunction], RewardFunction]:
    """Registers the decorated function for `patterns`; see `Reward` for the other arguments.

    Raises:
        ValueError: a pattern already belongs to another function.
    """

    def decorate(function: RewardFunction) -> RewardFunction:
        reward = Reward(function, patterns, needs_extra_info, libraries, warm_up, environment, services, answer_format,
                        reference_answer, near_misses, open_ended)
        for pattern in patterns:
            known = _REWARDS.setdefault(pattern, reward)
            if known is not reward:
                raise ValueError(f"data_source pattern {pattern!r} is already scored by {known.function.__module__}; "
                                 "choose another pattern or remove that one")
        return function

    return decorate


def known_patterns() -> list[str]:
    """Every registered name and pattern, sorted."""
    return sorted(_REWARDS)


def resolve(data_source: str) -> Reward:
    """The task that scores `data_source`.

    Raises:
        ValueError: nothing matches; the message names the nearest known pattern.
    """
    if data_source in _REWARDS:
        return _REWARDS[data_source]
    matching = [pattern for pattern in _REWARDS if fnmatchcase(str(data_source), pattern)]
    if matching:
        return _REWARDS[max(matching, key=len)]
    nearest = difflib.get_close_matches(str(data_source), _REWARDS, n=1, cutoff=0.0)
    raise ValueError(f"no reward scores data_source {data_source!r}; the nearest known pattern is {nearest[0]!r}. "
                     "Correct the data_source column, add a file to reward_score/, or set custom_reward_function.path")
