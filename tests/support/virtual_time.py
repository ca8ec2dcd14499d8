"""An event loop whose clock jumps to the next timer: hours of waiting take no time, waiting for nothing is an error."""
import asyncio
from collections.abc import Coroutine
from typing import Any


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Time passes only when nothing else can happen. For code without threads and sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready:
            waiting = [timer for timer in self._scheduled if not timer.cancelled()]
            if not waiting:
                raise AssertionError("every task waits for something that will never happen")
            self._now = max(self._now, min(timer.when() for timer in waiting))
        super()._run_once()


def run_in_virtual_time(main: Coroutine[Any, Any, Any]) -> Any:
    """`asyncio.run` on a VirtualTimeLoop."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
