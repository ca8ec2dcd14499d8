"""How a programming task is put to the model."""

import re

FENCE = "Reason first if you like; then give the finished code, imports included, in one ```python block."
_IMAGE = re.compile(r"\bimages?\b|!\[|<img\b", re.IGNORECASE)


def task_prompt(statement: str, starter: str = "", function: str = "") -> str:
    """The statement, how the code is called, and the form of the answer.

    Args:
        starter: code to build on.
        function: name of the function that the tests call; empty: a program from stdin to stdout.
    """
    parts = ["Solve this programming task in Python.", statement.strip()]
    if starter.strip():
        parts.append(f"Build on this starter code, keep its names:\n```python\n{starter.strip()}\n```")
    elif not function:
        parts.append("The program reads standard input and writes to standard output, nothing but what is asked for.")
    if function and not re.search(rf"\b{re.escape(function)}\b", starter + statement):
        parts.append(f"Write it as a function named `{function}`.")
    return "\n\n".join([*parts, FENCE])


def mentions_image(statement: str) -> bool:
    """Whether a text probably refers to a picture that it does not hold."""
    return bool(_IMAGE.search(statement))
