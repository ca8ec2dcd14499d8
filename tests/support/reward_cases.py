"""One answer and the score it must get; the tests of each reward keep a table of them per data_source."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """`name` says what the case is about; `answer` may be computed lazily by the caller, it is plain text here."""

    name: str
    answer: str
    truth: object
    score: float
    extra_info: dict = field(default_factory=dict)
