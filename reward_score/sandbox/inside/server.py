"""The answer's side of a functional test: its functions, waiting to be called.

Nothing here is secret. The expected values are in another process, and whatever this one says is only a value that is
compared there.
"""

import itertools
import operator
import socket
import sys
import types

from .wire import COMMON_MODULES, Decoder, Encoder, receive, send

MAX_ITEMS = 1_000_000  # taken from one iterator


class Server:
    """Serves calls on the names that a piece of code defines."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._objects: list[object] = []
        self._numbers: dict[int, int] = {}
        self._shared: set[str] = set()
        self._classes: dict[str, type] = {}
        self._encode = Encoder(self._shared, self._handle)
        self._decode = Decoder(self._classes, lambda number: self._objects[number])

    def run(self, prefix: str, code: str) -> None:
        """Loads the code, tells its names, then answers until the other side is gone."""
        try:
            names = self._load(prefix, code)
        except BaseException as error:  # noqa: BLE001 -- whatever the code does is told
            send(self._connection, {"error": _describe(error), "loading": True})
            return
        send(self._connection, {"names": list(names), "value": self._encode(list(names.values()))})
        while True:
            try:
                request = receive(self._connection)
            except (EOFError, OSError):
                return
            try:
                reply = self._answer(request)
            except BaseException as error:  # noqa: BLE001 -- as above
                reply = {"error": _describe(error)}
            send(self._connection, reply)

    def _load(self, prefix: str, code: str) -> dict[str, object]:
        module = types.ModuleType("solution")
        sys.modules["solution"] = module
        space = module.__dict__
        exec("from typing import *", space)
        space.update({name: sys.modules[name] for name in COMMON_MODULES if name in sys.modules})
        exec(compile(prefix, "<prefix>", "exec"), space)
        before = dict(space)
        self._shared.update(
            name for name, value in before.items() if isinstance(value, type) and value.__module__ == "solution")
        exec(compile(code, "<answer>", "exec"), space)
        self._classes.update({name: space[name] for name in self._shared if isinstance(space.get(name), type)})
        return {
            name: value
            for name, value in space.items()
            if not name.startswith("__") and (name not in before or value is not before[name])
        }

    def _handle(self, value: object) -> int:
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)  # kept alive, so that its id stays its own
        return self._numbers[id(value)]

    def _answer(self, request: dict) -> dict:
        """Does `{"do": operation, "with": encoded (args, kwargs)}`; tells the arguments again if they changed."""
        args, kwargs = self._decode(request["with"])
        before = self._encode((args, kwargs)) if request["do"] == "call" else None
        result = _OPERATIONS[request["do"]](*args, **kwargs)
        if before is None:
            return {"value": self._encode(result)}
        after = self._encode((args[1:], kwargs)) if self._encode((args, kwargs)) != before else None
        return {"value": self._encode(result), "after": after}


def _describe(error: BaseException) -> list[str]:
    kind = next((kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"), "Exception")
    try:
        text = str(error)[:500]
    except Exception:  # noqa: BLE001 -- its __str__ is the answer's
        text = ""
    return [kind, text]


_OPERATIONS = {
    "call": lambda function, *args, **kwargs: function(*args, **kwargs),
    "getattr": getattr,
    "setattr": setattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "iterate": lambda value: list(itertools.islice(value, MAX_ITEMS)),
    "len": len,
    "str": str,
    "repr": repr,
    "bool": bool,
    "equal": lambda one, other: bool(one == other),
}
