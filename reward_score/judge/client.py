"""One chat completion over HTTP, with everything that can go wrong turned into `RewardUnavailable`.

Busy and broken servers (429, 5xx, no connection, no reply in time, a reply that is no completion) are asked again;
whatever asking again cannot change (other 4xx) is not. The same calls wait the same times: no jitter.
"""

import contextlib
import email.utils
import http.client
import ipaddress
import json
import threading
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

from reward_score.judge.settings import JudgeSettings
from reward_score.judge.shared import mark_down, mark_up, shared_directory, slot, turn
from reward_score.result import RewardUnavailable

_MAX_REPLY = 2**20  # bytes; a completion of 1,024 tokens takes some 10 kB
_CHUNK = 2**16
_MAX_CAUSE = 200  # characters of what a server says about itself


class _Failure(Exception):
    """One try failed. `wait`: seconds that the server asked for; `final`: another try would be the same."""

    def __init__(self, cause: str, wait: float | None = None, final: bool = False) -> None:
        super().__init__(cause)
        self.wait, self.final = wait, final


def complete(settings: JudgeSettings, prompt: str, deadline: float) -> str:
    """The judge's reply to one user message, at temperature 0.

    Args:
        deadline: monotonic seconds; nothing is waited for beyond it.

    Raises:
        RewardUnavailable: no reply after all tries; the message names the URL, the cause and the variable to check.
    """
    directory, since = shared_directory(settings.endpoint), time.time()
    with turn(directory, settings.judge) as probing:
        try:
            reply = _retried(directory, settings, prompt, deadline, 1 if probing else settings.tries)
        except _Failure as failure:
            if not failure.final:
                mark_down(directory, since)
            raise RewardUnavailable(f"{settings.judge} does not answer: {failure}") from None
        mark_up(directory)
        return reply


def _retried(directory: Path, settings: JudgeSettings, prompt: str, deadline: float, tries: int) -> str:
    for attempt in range(tries):
        try:
            with slot(directory, settings.slots, deadline):
                return _post_within(min(settings.timeout, deadline - time.monotonic()), settings, prompt)
        except _Failure as failure:
            wait = settings.backoff * 2**attempt if failure.wait is None else failure.wait
            if failure.final or attempt + 1 == tries or time.monotonic() + wait >= deadline:
                raise
        time.sleep(wait)
    raise AssertionError("there is at least one try")


def _post_within(seconds: float, settings: JudgeSettings, prompt: str) -> str:
    """`_post` with a limit on the whole of it; a socket's timeout is for each of many steps."""
    if seconds <= 0:
        raise _Failure("no time was left to ask", final=True)  # says nothing about the judge
    outcome: list[str | _Failure] = []

    def run() -> None:
        try:
            outcome.append(_post(seconds, settings, prompt))
        except _Failure as failure:
            outcome.append(failure)

    thread = threading.Thread(target=run, name="judge", daemon=True)
    thread.start()
    thread.join(seconds)
    reply = outcome[0] if outcome else _Failure(f"no reply within {seconds:.1f} s")
    if isinstance(reply, _Failure):
        raise reply
    return reply


def _post(seconds: float, settings: JudgeSettings, prompt: str) -> str:
    body = {
        "model": settings.model,
        "messages": [{
            "role": "user",
            "content": prompt
        }],
        "temperature": 0,
        "max_tokens": settings.max_tokens
    }
    headers = {"Content-Type": "application/json", "User-Agent": "reasoning360"}
    if settings.authorization:
        headers["Authorization"] = settings.authorization
    request = urllib.request.Request(settings.endpoint, json.dumps(body).encode(), headers, method="POST")
    try:
        with _opener(settings.endpoint).open(request, timeout=seconds) as response:
            return _content(_read(response, time.monotonic() + seconds))
    except urllib.error.HTTPError as error:
        with error:
            raise _http_failure(error, settings) from None
    # No connection, a timeout, a connection cut short, a host that is no name.
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise _Failure(f"{type(error).__name__}: {getattr(error, 'reason', error)}"[:_MAX_CAUSE]) from None


def _read(response: http.client.HTTPResponse, end: float) -> bytes:
    data = b""
    while chunk := response.read1(_CHUNK):
        data += chunk
        if len(data) > _MAX_REPLY:
            raise _Failure(f"a reply of more than {_MAX_REPLY} bytes")
        if time.monotonic() > end:
            raise _Failure("a reply without end")
    return data


def _content(data: bytes) -> str:
    try:
        content = json.loads(data)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise _Failure(f"a reply that is no chat completion: {data[:80]!r}") from None
    return content if isinstance(content, str) else ""


def _http_failure(error: urllib.error.HTTPError, settings: JudgeSettings) -> _Failure:
    """401 and the like are final: only whoever set the variables can change them."""
    busy = error.code in (408, 425, 429) or error.code >= 500
    cause = f"HTTP {error.code} {error.reason}"[:_MAX_CAUSE]
    if error.code in (401, 403):
        cause += f" (check {settings.prefix}_API_KEY)"
    elif error.code == 404:
        cause += f" (no such path, or it serves no {settings.model}: check {settings.prefix}_MODEL)"
    elif 300 <= error.code < 400:
        cause += " (redirects are not followed: they would take the key along)"
    else:
        cause += _said(error, settings)
    return _Failure(cause, _retry_after(error.headers) if busy else None, final=not busy)


def _said(error: urllib.error.HTTPError, settings: JudgeSettings) -> str:
    """The server's own words, in case it repeats them without our key."""
    body = b""
    with contextlib.suppress(OSError, http.client.HTTPException):
        body = error.read(_MAX_CAUSE)
    text = " ".join(body.decode(errors="replace").split())
    key = settings.authorization.rpartition(" ")[2]
    return f" ({text})" if text and not (key and key in text) else ""


def _retry_after(headers: Message) -> float | None:
    """Seconds, from either form of the header (RFC 9110, 10.2.3)."""
    value = (headers.get("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


class _NoRedirects(urllib.request.HTTPRedirectHandler):

    def redirect_request(self, *args: object) -> None:
        return None


def _opener(endpoint: str) -> urllib.request.OpenerDirector:
    """Uses the environment's proxies, except for a judge on this machine."""
    own = [urllib.request.ProxyHandler({})] if _is_local(urlsplit(endpoint).hostname or "") else []
    return urllib.request.build_opener(_NoRedirects, *own)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
