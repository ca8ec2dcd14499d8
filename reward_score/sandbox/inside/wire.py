"""Python values as JSON, between the process of the answer and the process of the tests.

JSON, because its reader does nothing but read: what an answer sends can be wrong, but never run, and never be an object
with an `__eq__` of its own. Values are a flat list of nodes, so that nesting, sharing and cycles (linked lists, trees)
cost no recursion:  {"top": item, "nodes": [[tag, ...], ...]}  where an item is None, a bool, an int, a float, a string,
or [i], node i.

    ["l"|"t"|"s"|"f", items]      list, tuple, set, frozenset     ["x", hex]           an int beyond 64 bits
    ["d", keys and values]        dict                            ["b", hex]           bytes
    ["q", items]                  deque                           ["c", real, imag]    complex
    ["n", nested lists]           NumPy array                     ["F"|"D", text]      Fraction, Decimal
    ["o", class, names and values]  an instance of a class that both sides have
    ["h", number]                 anything else: a handle, to be used by calls
    ["m", name]                   a module of the standard library, or NumPy
"""

import json
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from types import ModuleType, SimpleNamespace

# What answers and tests find imported, as LeetCode and LiveCodeBench promise.
COMMON_MODULES = ("math", "collections", "heapq", "bisect", "itertools", "functools", "string", "random", "re",
                  "operator")
MAX_MESSAGE = 16 * 2**20  # bytes
_SCALARS = (bool, int, float, str, type(None))
_BIG = 2**63


class TooLarge(Exception):
    """A message over MAX_MESSAGE."""


def send(connection: socket.socket, message: object) -> None:
    """Sends one message: its length, then JSON."""
    data = json.dumps(message).encode()
    connection.sendall(struct.pack("<Q", len(data)) + data)


def receive(connection: socket.socket) -> object:
    """The next message.

    Raises:
        EOFError: the other side is gone.
        TooLarge: the message is over MAX_MESSAGE.
        ValueError: it is not JSON.
    """
    size = struct.unpack("<Q", _read(connection, 8))[0]
    if size > MAX_MESSAGE:
        raise TooLarge(f"a value of {size} bytes")
    return json.loads(_read(connection, size))


def _read(connection: socket.socket, size: int) -> bytes:
    chunks, left = [], size
    while left:
        chunk = connection.recv(min(left, 2**20))
        if not chunk:
            raise EOFError
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


class Encoder:
    """Turns values into nodes.

    Args:
        shared: names of classes whose instances travel as their attributes.
        handle: gives the number of a value that does not travel.
    """

    def __init__(self, shared: set[str], handle: Callable[[object], int]) -> None:
        self._shared, self._handle = shared, handle

    def __call__(self, value: object) -> dict[str, object]:
        """-> {"top": item, "nodes": nodes}."""
        self._nodes: list[list] = []
        self._known: dict[int, list[int]] = {}
        self._queue: list[tuple[list, object]] = []
        self._keep: list[object] = []  # temporaries, so that no id is used twice
        top = self._item(value)
        while self._queue:
            node, value = self._queue.pop()
            self._fill(node, value)
        return {"top": top, "nodes": self._nodes}

    def _item(self, value: object) -> object:
        kind = type(value)
        if kind in _SCALARS and not (kind is int and not -_BIG <= value < _BIG):
            return value
        if id(value) not in self._known:
            self._known[id(value)] = [len(self._nodes)]
            self._keep.append(value)
            node: list = []
            self._nodes.append(node)
            self._queue.append((node, value))
        return self._known[id(value)]

    def _items(self, values: object) -> list[object]:
        return [value if type(value) in (str, float, bool) else self._item(value) for value in values]

    def _fill(self, node: list, value: object) -> None:
        for kind, tag in ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "f"), (deque, "q")):
            if isinstance(value, kind):
                node += [tag, self._items(list(kind.__iter__(value)))]
                return
        if isinstance(value, dict):
            node += ["d", self._items([part for pair in dict.items(value) for part in pair])]
        elif isinstance(value, int):
            node += ["x", hex(int(value))]
        elif isinstance(value, bytes | bytearray):
            node += ["b", bytes(value).hex()]
        elif isinstance(value, complex):
            node += ["c", value.real, value.imag]
        elif isinstance(value, float | str):
            node += ["t", [float(value) if isinstance(value, float) else str.__str__(value)], "alone"]
        elif isinstance(value, Fraction | Decimal):
            node += ["F" if isinstance(value, Fraction) else "D", str(value)]
        else:
            self._fill_object(node, value)

    def _fill_object(self, node: list, value: object) -> None:
        kind = type(value)
        if getattr(kind, "__module__", "") == "numpy" and getattr(value, "dtype", object).kind in "biuf":
            node += ["n", value.tolist()] if value.shape else ["t", [self._item(value.tolist())], "alone"]
        elif isinstance(value, ModuleType) and _is_known_module(value.__name__):
            node += ["m", value.__name__]
        elif kind.__name__ in self._shared and isinstance(getattr(value, "__dict__", None), dict):
            node += ["o", kind.__name__, self._items([part for pair in value.__dict__.items() for part in pair])]
        else:
            node += ["h", self._handle(value)]


class Decoder:
    """Turns nodes back into values. Bad nodes raise ValueError, TypeError, LookupError or RecursionError.

    Args:
        classes: what instances are made of, by name.
        handle: gives the object of a handle.
    """

    def __init__(self, classes: dict[str, type], handle: Callable[[int], object]) -> None:
        self._classes, self._handle = classes, handle

    def __call__(self, message: dict[str, object]) -> object:
        """The value of {"top": item, "nodes": nodes}."""
        self._nodes = message["nodes"]
        self._values: dict[int, object] = {}
        for index, node in enumerate(self._nodes):
            self._start(index, node)
        for index in range(len(self._nodes)):
            self._value([index])
        for index, node in enumerate(self._nodes):
            self._fill(self._values[index], node)
        return self._value(message["top"])

    def _start(self, index: int, node: list) -> None:
        """Makes what can be made before its contents."""
        empty = {"l": list, "d": dict, "s": set, "q": deque}.get(node[0])
        if empty:
            self._values[index] = empty()
        elif node[0] == "o":
            kind = self._classes.get(node[1]) or type(str(node[1]), (SimpleNamespace,), {})
            self._values[index] = kind.__new__(kind)

    def _value(self, item: object) -> object:
        if not isinstance(item, list):
            return item
        index, = item
        if index not in self._values:
            self._values[index] = self._make(self._nodes[index])
        return self._values[index]

    def _make(self, node: list) -> object:
        tag, content = node[0], node[1]
        if tag == "t":
            values = tuple(map(self._value, content))
            return values[0] if len(node) == 3 else values
        simple = {"f": lambda: frozenset(map(self._value, content)), "x": lambda: int(content, 16),
                  "b": lambda: bytes.fromhex(content), "c": lambda: complex(content, node[2]),
                  "F": lambda: Fraction(content), "D": lambda: Decimal(content), "h": lambda: self._handle(content),
                  "m": lambda: _module(content), "n": lambda: _module("numpy").array(content)}  # yapf: disable
        return simple[tag]()

    def _fill(self, value: object, node: list) -> None:
        tag = node[0]
        if tag in ("l", "q"):
            value.extend(map(self._value, node[1]))
        elif tag == "s":
            value.update(map(self._value, node[1]))
        elif tag in ("d", "o"):
            parts = list(map(self._value, node[-1]))
            pairs = zip(parts[::2], parts[1::2], strict=True)
            (value if tag == "d" else value.__dict__).update(pairs)


def _is_known_module(name: str) -> bool:
    return name == "numpy" or name.partition(".")[0] in sys.stdlib_module_names


def _module(name: str) -> object:
    if not _is_known_module(name):
        raise ValueError(f"module {name!r}")
    __import__(name)
    return sys.modules[name]
