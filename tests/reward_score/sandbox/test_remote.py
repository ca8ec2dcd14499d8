# ruff: noqa: E501 -- a program of the tests stands on one line
import json
import socket

import pytest

from reward_score import coder1
from reward_score.result import RewardUnavailable
from reward_score.sandbox import remote
from tests.support.code_rows import ROWS, fenced
from tests.support.sandbox_fusion import Server

ADD = ROWS["codecontests"]
PROGRAMS = [ADD.right, ADD.near, "print(3)", "print(1 / 0)", "print(", "while True: pass", "x = bytearray(10**10)",
            "print(3); raise SystemExit(2)", "for _ in range(20): print('x' * 10**6)"]  # yapf: disable
FUNCTIONS = ["def f(x):\n    return x + 1", "def f(x):\n    return x", "def f(x):\n    return 1 / 0", "def f(", "def g(): pass",
             "import os\nos._exit(0)", "def f(x):\n    while True: pass", "def f(x):\n    return bytearray(10**10)",
             "class E:\n    def __eq__(self, o): return True\ndef f(x): return E()",
             "import glob\ndef f(x): return eval(open(glob.glob('*.py')[0]).read())"]  # yapf: disable


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


def verdict(code, truth, **kwargs):
    result = coder1.compute_score("taco", fenced(code), truth, **kwargs)
    return result["verdict"], result["score"], result["passed"]


@pytest.mark.parametrize("code", PROGRAMS)
def test_programs_get_the_verdict_of_this_machine(server, code):
    assert verdict(code, ADD.truth, sandbox_fusion_url=server.url, timeout=0.7) == verdict(code, ADD.truth, timeout=0.7)


@pytest.mark.parametrize("code", FUNCTIONS)
def test_functions_get_the_verdict_of_this_machine(server, code):
    truth = json.dumps({"functional": "assert f(1) == 2\nassert f(2) == 3"})
    assert verdict(code, truth, sandbox_fusion_url=server.url, timeout=0.7) == verdict(code, truth, timeout=0.7)


@pytest.mark.parametrize("source", ROWS)
def test_rows(server, source, monkeypatch):
    monkeypatch.setenv("SANDBOX_FUSION_SERVERS", f"127.0.0.1:{server.server_port}")
    row, before = ROWS[source], server.requests
    assert coder1.compute_score(source, fenced(row.right), row.truth, row.extra_info)["score"] == 1.0
    assert server.requests > before


def test_tries_again():
    with Server(failures=2) as server:
        assert verdict(ADD.right, ADD.truth, sandbox_fusion_url=server.url)[1] == 1.0


def test_a_server_that_is_down_is_no_zero(monkeypatch):
    monkeypatch.setattr(remote, "BACKOFF", (0.01,))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(RewardUnavailable, match="SANDBOX_FUSION_SERVERS"):
            verdict(ADD.right, ADD.truth, sandbox_fusion_url=f"http://127.0.0.1:{taken.getsockname()[1]}")


@pytest.mark.parametrize(("server", "url"), [
    ("host", "http://host:8080/run_code"), ("host:1", "http://host:1/run_code"), ("https://host", "https://host/run_code"),
    ("http://host:1/run_code/", "http://host:1/run_code"), ("http://host/proxy", "http://host/proxy/run_code"),
])  # yapf: disable
def test_urls(server, url):
    assert remote._url(server) == url
