"""Scores: the `reward_model` and `custom_reward_function` keys."""
from dataclasses import dataclass
from typing import Any

from verl.config.fields import group, key

REWARD_MANAGERS = ("naive", "dapo", "batch", "prime", "async_multi_process")


@dataclass(frozen=True)
class OverlongBufferConfig:
    """The penalty of answers that come near the longest allowed (DAPO, arXiv:2503.14476)."""
    enable: bool = key(False, "lower the reward of overlong answers")
    len: int = key(0, "tokens before max_resp_len over which the penalty grows", at_least=0)
    penalty_factor: float = key(1.0, "penalty at max_resp_len", at_least=0)
    log: bool = key(False, "add reward/overlong_penalty and reward/overlong_ratio to the metrics")


@dataclass(frozen=True)
class RewardKwargsConfig:
    """Shaping by length."""
    overlong_buffer_cfg: OverlongBufferConfig = group(OverlongBufferConfig)
    max_resp_len: int | None = key(None, "tokens; null: data.max_response_length", at_least=1)


@dataclass(frozen=True)
class SandboxFusionConfig:
    """A remote sandbox for code rewards."""
    url: str | None = key(None, "SandboxFusion server that runs the code of answers; null: local sandboxes")


@dataclass(frozen=True)
class RewardModelConfig:
    """The processes that score answers."""
    enable: bool = key(False, "score by a reward model")
    reward_manager: str = key("naive", "every name means the same path: killable processes", choices=REWARD_MANAGERS)
    num_workers: int | None = key(None, "reward processes; null: one per core, at most 8", at_least=1)
    timeout: float = key(30.0, "seconds for one answer; then its process is killed and the score is 0", above=0)
    memory_limit_mb: int = key(4096, "memory of a reward process, in MiB", at_least=1)
    max_failure_rate: float = key(0.5, "share of failed scorings in a step that stops the run", at_least=0, at_most=1)
    reward_scaling: float = key(1.0, "training sees (score - reward_bias) * reward_scaling")
    reward_bias: float = key(0.0, "subtracted from the score before scaling")
    check_xml_format: bool = key(False, "credit of 0.1 for a wrong answer written <think>..</think><answer>..</answer>")
    reward_kwargs: RewardKwargsConfig = group(RewardKwargsConfig)
    sandbox_fusion: SandboxFusionConfig = group(SandboxFusionConfig)


@dataclass(frozen=True)
class CustomRewardFunctionConfig:
    """A reward function of the user's."""
    path: str | None = key(None, "Python file that defines it; null: the built-in functions by data_source")
    name: str = key("compute_score", "its name in that file")
    reward_kwargs: dict[str, Any] = key({}, "passed to it as keyword arguments")
