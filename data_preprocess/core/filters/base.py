"""What a filter is."""

from collections.abc import Sequence
from typing import Protocol

Row = dict[str, object]


class Filter(Protocol):
    """Keeps or drops rows. It must pickle, since it runs in worker processes; an error in it stops the run."""

    @property
    def reason(self) -> str:
        """Why it drops a row, as the card says it."""

    def check(self, rows: Sequence[Row]) -> list[bool]:
        """[rows], whether each is kept."""
