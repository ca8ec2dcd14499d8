"""What a `RewardPool` and its processes tell each other."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RewardRequest:
    """One answer to score; the fields of `compute_score`."""

    data_source: str
    solution_str: str
    ground_truth: object
    extra_info: dict | None = None


@dataclass(frozen=True)
class RewardResult:
    """What became of one answer.

    Attributes:
        score: 0.0 unless `status` is "ok".
        acc: 1.0 if right, else 0.0 (a function may give another measure).
        status: "ok"; "timeout", over its deadline and killed; "crash", its process died or ran out of memory;
            "error", the function raised; "unavailable", a service it needs does not answer, so nothing is known of the
            answer and training leaves it out.
        extra: the function's other keys; empty unless `status` is "ok".
        error: one line with the data source and the cause; empty if `status` is "ok".
        seconds: time spent scoring; the deadline for "timeout".
    """

    score: float
    acc: float
    status: str
    extra: dict[str, object] = field(default_factory=dict)
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class CustomFunction:
    """The user's function: `custom_reward_function.{path,name,reward_kwargs}`."""

    path: str
    name: str
    kwargs: dict[str, object]


@dataclass(frozen=True)
class PoolSettings:
    """What a pool is made of.

    Attributes:
        num_workers: processes.
        timeout: seconds per answer, from its own start.
        memory_limit_mb: data memory of one worker, in MiB.
        custom: the user's function; None for the registered ones.
        kwargs: for the registered functions.
        data_sources: what will be scored, where known; their `warm_up` is called in each worker.
        libraries: modules imported once, before workers are forked.
        python_path: the owner's `PYTHONPATH`, for what reward functions start.
    """

    num_workers: int
    timeout: float
    memory_limit_mb: int
    custom: CustomFunction | None
    kwargs: dict[str, object]
    data_sources: tuple[str, ...]
    libraries: tuple[str, ...]
    python_path: str | None
