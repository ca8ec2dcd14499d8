"""How long something computes."""
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def computes_within(seconds: float, what: object = "") -> Iterator[None]:
    """What stands below takes this process less CPU time, not counting the collection of other tests' garbage: a busy
    machine does not make it longer.
    """
    gc.disable()
    start = time.process_time()
    try:
        yield
        used = time.process_time() - start
    finally:
        gc.enable()
    assert used < seconds, what
