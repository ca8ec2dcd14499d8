"""Scores: the `reward_model` and `custom_reward_function` keys."""
from dataclasses import dataclass
from typing import Any

from verl.config.fields import key

REWARD_MANAGERS = ("naive", "dapo", "batch", "prime", "async_multi_process")


@dataclass(frozen=True)
class RewardModelConfig:
    """The processes that score answers."""
    enable: bool = key(False, "score by a reward model")
    reward_manager: str = key("naive", "every name means the same path: killable processes", choices=REWARD_MANAGERS)
    num_workers: int | None = key(None, "reward processes; null: one per core, at most 8", at_least=1)
    timeout: float = key(30.0, "seconds for one answer; then its process is killed and the score is 0", above=0)
    memory_limit_mb: int = key(4096, "memory of a reward process, in MiB", at_least=1)
    max_failure_rate: float = key(0.5, "share of failed scorings in a step that stops the run", at_least=0, at_most=1)
    reward_kwargs: dict[str, Any] = key({}, "passed to the built-in reward functions")


@dataclass(frozen=True)
class CustomRewardFunctionConfig:
    """A reward function of the user's."""
    path: str | None = key(None, "Python file that defines it; null: the built-in functions by data_source")
    name: str = key("compute_score", "its name in that file")
    reward_kwargs: dict[str, Any] = key({}, "passed to it as keyword arguments")
