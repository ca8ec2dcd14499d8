"""Python's parser for text that other threads may parse too: nothing is run."""

import ast
import threading

# CPython 3.11 counts the parser's depth per interpreter, so two threads within it fail each other (SystemError).
_ONE_AT_A_TIME = threading.Lock()


def parse(text: str) -> ast.Module:
    """The syntax tree of a program. Raises what `ast.parse` does: SyntaxError, ValueError, RecursionError, ..."""
    with _ONE_AT_A_TIME:
        return ast.parse(text)


def parse_expression(text: str) -> ast.expr:
    """The syntax tree of one expression; raises as `parse`."""
    with _ONE_AT_A_TIME:
        return ast.parse(text.strip(), mode="eval").body
