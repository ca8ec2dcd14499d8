"""Where a judge is and how it may be used: environment variables, and keyword arguments over them."""

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

_CACHE = "~/.cache/reasoning360/judge"
_ENDPOINT = "/chat/completions"
_VERSION = re.compile(r"/v\d\w*(?:/|$)")


@dataclass(frozen=True)
class JudgeService:
    """One kind of judge; `prefix` starts its variables `<prefix>_URL`, `<prefix>_MODEL` and `<prefix>_API_KEY`."""

    prefix: str
    default_model: str


@dataclass(frozen=True)
class JudgeSettings:
    """How to ask one judge.

    Attributes:
        prefix: of the variables that named it, for messages.
        endpoint: `http(s)://host/.../chat/completions`, without credentials.
        model: the name that the server knows it by.
        authorization: value of that header; "" for none. Never printed.
        budget: seconds for one answer, with all tries and waiting; keep it below the pool's deadline.
        timeout: seconds for one try.
        tries: how often an unreachable or overloaded judge is asked.
        backoff: seconds before the second try, doubled for each later one.
        slots: requests in flight from this machine's processes of this user together.
        max_tokens: for the judge's reply; general-verifier reasons before it decides.
        cache: directory of verdicts.
    """

    prefix: str
    endpoint: str
    model: str
    authorization: str = field(repr=False)
    cache: Path
    budget: float = 24.0
    timeout: float = 15.0
    tries: int = 6
    backoff: float = 0.5
    slots: int = 64
    max_tokens: int = 1024

    @property
    def judge(self) -> str:
        """Which judge this is, for messages; without the query of its URL, which may hold a key."""
        return f"the judge {self.model} at {self.endpoint.partition('?')[0]} ({self.prefix}_URL)"


def judge_settings(service: JudgeService, options: Mapping[str, object]) -> JudgeSettings:
    """Settings from `options` (`judge_url`, `judge_model`, `judge_budget`, ...), then the environment, then defaults.

    Raises:
        ValueError: there is no URL, or a value cannot be used; the message names the variable and the fix.
    """

    def choose(key: str, variable: str, default: object = None) -> object:
        value = options.get(f"judge_{key}")
        return value if value is not None else os.environ.get(variable) or default

    url_variable = f"{service.prefix}_URL"
    url = str(choose("url", url_variable, "")).strip()
    if not url:
        raise ValueError(f"these answers need a judge: set {url_variable} to an OpenAI-compatible server of "
                         f"{service.default_model}, such as http://localhost:8000/v1")
    endpoint, login = split_endpoint(url, url_variable)
    numbers = {key: _positive(key, choose(key, f"REWARD_JUDGE_{key.upper()}"))
               for key in ("budget", "timeout", "tries", "backoff", "slots", "max_tokens")}  # yapf: disable
    return JudgeSettings(prefix=service.prefix,
                         endpoint=endpoint,
                         model=str(choose("model", f"{service.prefix}_MODEL", service.default_model)),
                         authorization=_bearer(service, choose("api_key", f"{service.prefix}_API_KEY", "")) or login,
                         cache=Path(str(choose("cache", "REWARD_JUDGE_CACHE", _CACHE))).expanduser(),
                         **{
                             key: number for key, number in numbers.items() if number is not None
                         })


def split_endpoint(url: str, variable: str) -> tuple[str, str]:
    """The chat endpoint of any spelling of a server's URL, and an `Authorization` for the login written in it.

    `http://h:1`, `http://h:1/v1/`, `http://gateway/judge` and `http://h:1/v1/chat/completions` all work; a query stays.

    Raises:
        ValueError: not an HTTP URL; the message names `variable` and leaves logins out.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, _ = parts.hostname, parts.port  # reading the port checks it
    except ValueError:
        parts, host = SplitResult("", "", "", "", ""), None
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\x00-\x1f]", url):
        raise ValueError(f"{variable} is not an HTTP URL; write it as http://host:port/v1")
    path = parts.path.rstrip("/").removesuffix(_ENDPOINT)
    if not parts.path.rstrip("/").endswith(_ENDPOINT) and not _VERSION.search(path):
        path += "/v1"
    login, _, address = parts.netloc.rpartition("@")
    basic = f"Basic {base64.b64encode(unquote(login).encode()).decode()}" if login else ""
    return urlunsplit((parts.scheme, address, path + _ENDPOINT, parts.query, "")), basic


def _bearer(service: JudgeService, key: object) -> str:
    key = str(key).strip()
    if not key.isascii() or not key.isprintable() or " " in key:  # http.client would show it in its error
        raise ValueError(f"{service.prefix}_API_KEY holds characters that no HTTP header may carry")
    return f"Bearer {key}" if key else ""


def _positive(key: str, value: object) -> float | int | None:
    if value is None:
        return None
    kind = int if key in ("tries", "slots", "max_tokens") else float
    try:
        number = kind(value)
    except (TypeError, ValueError):
        number = 0
    if not 0 < number < 1e9:
        raise ValueError(f"REWARD_JUDGE_{key.upper()} (judge_{key}) must be a number above 0, got {value!r}")
    return number
