"""Failures that explain themselves."""


class RunFailure(RuntimeError):
    """The run cannot go on. The message says why and what to change; nobody needs the traceback."""


class OutOfMemory(RunFailure):
    """Memory ran out. The message says in which phase, and how much was in use."""
