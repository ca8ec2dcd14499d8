"""The tests' side of a functional test: runs the row's test code, in which the answer's names are remote.

A call sends its arguments and gets plain data back, so `assert f(1) == 2` compares two values that are built here. A
value that is no data stays with the answer and is a `Remote` here, which equals no value of the tests. What the tests
define, what the row's prefix defines and Python's own functions are never taken from the answer.
"""

import builtins
import json
import socket
import sys
import traceback

from .wire import COMMON_MODULES, Decoder, Encoder, TooLarge, receive, send

_remotes: dict[int, tuple["_Client", int]] = {}  # id of a Remote -> its client and handle; out of the object's reach

# Not raised here: the first two would end a loop of the tests, so that all(map(test, cases)) holds; the third needs
# more than a text.
_NOT_RAISED = (StopIteration, StopAsyncIteration, UnicodeError)


class AnswerEnded(Exception):
    """The answer's process is gone."""


class AnswerError(Exception):
    """The answer raised something that is no built-in exception."""


def _ask(remote: "Remote", do: str, *args: object, **kwargs: object) -> object:
    return _remotes[id(remote)][0].ask(do, remote, *args, **kwargs)


class Remote:
    """A thing of the answer's process that is not data: a function, class, instance, iterator."""

    __slots__ = ("__weakref__",)

    def __call__(self, *args: object, **kwargs: object) -> object:
        return _ask(self, "call", *args, **kwargs)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") and name != "__name__":
            raise AttributeError(name)  # copy, pickle and isinstance ask for these
        return _ask(self, "getattr", name)

    def __setattr__(self, name: str, value: object) -> None:
        _ask(self, "setattr", name, value)

    def __getitem__(self, key: object) -> object:
        return _ask(self, "getitem", key)

    def __setitem__(self, key: object, value: object) -> None:
        _ask(self, "setitem", key, value)

    def __contains__(self, value: object) -> bool:
        return value in list(self)  # by the values: the answer's own word could be yes to everything

    def __iter__(self) -> object:
        return iter(_ask(self, "iterate"))

    def __len__(self) -> int:
        return _ask(self, "len")

    def __str__(self) -> str:
        return _ask(self, "str")

    def __repr__(self) -> str:
        return _ask(self, "repr")

    def __bool__(self) -> bool:
        return bool(_ask(self, "bool"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and (other is self or bool(_ask(self, "equal", other)))

    __hash__ = object.__hash__


class _Client:
    """Asks the answer's process."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._known: dict[int, Remote] = {}  # one Remote per handle, kept alive
        self.classes: dict[str, type] = {}
        self.shared: set[str] = set()
        self._encode = Encoder(self.shared, self._number)
        self._decode = Decoder(self.classes, self._remote)
        self.calls = 0

    def names(self) -> dict[str, object]:
        """What the answer defines, once it is loaded."""
        reply = self._receive()
        values = self._value(reply)
        return dict(zip(map(str, reply["names"]), values, strict=True))

    def ask(self, do: str, *args: object, **kwargs: object) -> object:
        """One operation; an exception of the answer is raised here as the built-in one it is or derives from."""
        self.calls += do == "call"
        try:
            send(self._connection, {"do": do, "with": self._encode((args, kwargs))})
        except OSError:
            raise AnswerEnded from None
        reply = self._receive()
        value = self._value(reply)
        if reply.get("after"):
            new_args, new_kwargs = self._decode(reply["after"])
            for old, new in [*zip(args[1:], new_args, strict=True), *((kwargs[k], v) for k, v in new_kwargs.items())]:
                _write_back(old, new)
        return value

    def _receive(self) -> dict:
        try:
            return receive(self._connection)
        except (EOFError, OSError):
            raise AnswerEnded from None

    def _value(self, reply: dict) -> object:
        if "error" not in reply:
            return self._decode(reply["value"])
        name, text = map(str, reply["error"])
        kind = getattr(builtins, name, None)
        if reply.get("loading") and name in ("SyntaxError", "IndentationError", "TabError"):
            kind = SyntaxError
        usable = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _NOT_RAISED)
        error = kind(text) if usable else AnswerError(f"{name}: {text}")
        error.from_answer = "loading" if reply.get("loading") else "call"
        raise error

    def _number(self, value: object) -> int:
        if id(value) not in _remotes:
            raise TypeError(f"the tests pass a {type(value).__name__} to the answer, which cannot leave its process")
        return _remotes[id(value)][1]

    def _remote(self, number: int) -> Remote:
        if number not in self._known:
            remote = self._known[number] = Remote()
            _remotes[id(remote)] = (self, number)
        return self._known[number]


def _write_back(old: object, new: object) -> None:
    """The answer changed an argument in place: so does the tests' own object."""
    if type(old) is not type(new):
        return
    if isinstance(old, list):
        old[:] = new
    elif isinstance(old, dict | set):
        old.clear()
        old.update(new)
    elif isinstance(getattr(old, "__dict__", None), dict):
        old.__dict__.update(new.__dict__)


def check(connection: socket.socket, prefix: str, tests: str, entry_points: list[str]) -> dict[str, str]:
    """Runs the tests against the answer behind `connection`.

    Args:
        prefix: the row's own code, which comes before the answer.
        entry_points: names of Python's own functions that the answer is asked to define.

    Returns:
        {"verdict": "pass" | "wrong answer" | "runtime error" | "compile error" | "memory" | "output limit" |
        "bad row", "feedback": one line}.
    """
    client = _Client(connection)
    modules = {name: sys.modules[name] for name in COMMON_MODULES if name in sys.modules}
    space: dict[str, object] = {"__name__": "__main__", **modules}
    try:
        exec(compile(prefix, "<prefix>", "exec"), space)
        own = {name for name in space if not name.startswith("__") and space[name] is not modules.get(name)}
        client.classes.update({
            name: space[name]
            for name in own
            if getattr(space[name], "__module__", "") == "__main__" and isinstance(space[name], type)
        })
        client.shared.update(client.classes)
        space.update(_taken(client.names(), own, entry_points, tests))
        exec(compile(tests, "<tests>", "exec"), space)
    except BaseException as error:  # noqa: BLE001 -- whatever happens is the verdict
        return _verdict(error, tests)
    return {"verdict": "pass", "feedback": ""} if client.calls else {
        "verdict": "bad row", "feedback": "the tests never call the answer"}  # yapf: disable


def _taken(answer: dict[str, object], own: set[str], entry_points: list[str], tests: str) -> dict[str, object]:
    """What the tests may take from the answer: no name of the row's, of Python's functions or of its modules."""
    kept = own | set(dir(builtins)) - set(entry_points)
    taken = {name: value for name, value in answer.items() if name not in kept}
    for name in sys.stdlib_module_names & taken.keys() - set(entry_points):
        if name in tests:
            taken[name] = __import__(name)
    return taken


def _verdict(error: BaseException, tests: str) -> dict[str, str]:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<tests>"]
    where = tests.splitlines()[lines[-1] - 1].strip()[:200] if lines else ""
    what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if isinstance(error, AnswerEnded):
        return {"verdict": "runtime error", "feedback": "the answer ended its process"}
    if isinstance(error, TooLarge):
        return {"verdict": "output limit", "feedback": str(error)}
    if getattr(error, "from_answer", ""):
        loading = error.from_answer == "loading"
        kinds = {SyntaxError: "compile error" if loading else "runtime error", MemoryError: "memory"}
        return {"verdict": kinds.get(type(error), "runtime error"), "feedback": what}
    if isinstance(error, AssertionError):
        return {"verdict": "wrong answer", "feedback": where}
    return {"verdict": "wrong answer", "feedback": f"{what} in: {where}"}


def main(connection: socket.socket, job: bytes, out: int) -> None:
    """Reads `{"prefix", "tests", "entry_points", "nonce"}` and writes the verdict with the nonce to `out`."""
    import os
    job = json.loads(job)
    verdict = check(connection, job["prefix"], job["tests"], job["entry_points"])
    os.pwrite(out, json.dumps({**verdict, "nonce": job["nonce"]}).encode(), 0)
