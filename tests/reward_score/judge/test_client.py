import json
import socket
import threading
import time
from dataclasses import replace

import pytest

from reward_score.judge.client import complete
from reward_score.judge.grading import grade
from reward_score.judge.settings import JudgeService, judge_settings
from reward_score.judge.shared import shared_directory
from reward_score.result import RewardUnavailable
from tests.support.judge_server import JudgeServer

SERVICE = JudgeService("TEST_JUDGE", "some/model")
KEY = "sk-very-secret"
PROMPT = "### Ground Truth Answer: 1\n\n### Student Answer:\n<answer-0123456789abcdef>\n1\n</answer-0123456789abcdef>"


@pytest.fixture(autouse=True)
def own_directories(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def judge():
    with JudgeServer() as server:
        yield server


def settings(url, tmp_path, **changes):
    options = {"judge_url": url, "judge_api_key": KEY, "judge_cache": tmp_path / "cache", "judge_backoff": 0.01}
    return replace(judge_settings(SERVICE, options), **changes)


def ask(settings, prompt=PROMPT):
    return complete(settings, prompt, time.monotonic() + settings.budget)


def unused_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize("script", [["500"], ["500", "503", "429"], ["garbage"], ["cut"], ["huge"]], ids=str)
def test_what_passes_is_asked_again(judge, tmp_path, script):
    judge.script = list(script)
    assert ask(settings(judge.url, tmp_path)).endswith("Final Decision: Yes")
    assert len(judge.prompts) == len(script) + 1


@pytest.mark.parametrize("behaviour", ["500", "429", "garbage", "cut", "huge", "hang", "drip", "drip_head"])
def test_what_does_not_pass_is_unavailable_in_time(judge, tmp_path, behaviour):
    judge.default = behaviour
    start = time.monotonic()
    with pytest.raises(RewardUnavailable, match="some/model at http://127.0.0.1:.*TEST_JUDGE_URL") as caught:
        ask(settings(judge.url, tmp_path, budget=0.6, timeout=0.3))
    assert time.monotonic() - start < 1.6  # at most a second over the budget
    assert KEY not in str(caught.value)


def test_retry_after_is_honoured(judge, tmp_path):
    judge.script = ["429"]
    start = time.monotonic()
    ask(settings(judge.url, tmp_path))
    assert 1.0 <= time.monotonic() - start < 5.0


def test_waits_double(judge, tmp_path):
    judge.script = ["500"] * 3
    start = time.monotonic()
    ask(settings(judge.url, tmp_path, backoff=0.05))
    assert 0.35 <= time.monotonic() - start < 3.0


@pytest.mark.parametrize(("status", "hint"), [("400", "status 400"), ("401", "TEST_JUDGE_API_KEY"),
                                              ("404", "TEST_JUDGE_MODEL"), ("302", "redirects"), ("leak", "HTTP 400")])
def test_what_never_passes_is_not_asked_again(judge, tmp_path, status, hint):
    judge.default = status
    with pytest.raises(RewardUnavailable, match=hint) as caught:
        ask(settings(judge.url, tmp_path))
    assert len(judge.prompts) == 1
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "b\u00fc..cher.example"])
def test_nobody_there(tmp_path, host):
    with pytest.raises(RewardUnavailable, match="does not answer: .*Error"):
        ask(settings(f"http://user:pass@{host}:{unused_port()}", tmp_path, budget=2.0))


def test_one_failure_among_successes_does_not_mark_the_judge_down(judge, tmp_path):

    quick = settings(judge.url, tmp_path, budget=0.3, timeout=0.3)
    judge.script = ["hang"]
    failing = threading.Thread(target=lambda: pytest.raises(RewardUnavailable, ask, quick))
    failing.start()
    while not judge.prompts:
        time.sleep(0.005)
    ask(quick)
    failing.join()
    assert not (shared_directory(quick.endpoint) / "down").exists()


def test_while_down_one_looks_and_the_others_fail_at_once(judge, tmp_path):
    quick = settings(judge.url, tmp_path, tries=2)
    judge.script = ["500", "500", "hang"]
    pytest.raises(RewardUnavailable, ask, quick)
    probe = threading.Thread(target=lambda: pytest.raises(RewardUnavailable, ask, replace(quick, timeout=0.3)))
    probe.start()
    while len(judge.prompts) < 3:
        time.sleep(0.005)
    with pytest.raises(RewardUnavailable, match="was down a moment ago"):
        ask(quick)
    probe.join()
    assert len(judge.prompts) == 3
    assert ask(quick)
    assert not (shared_directory(quick.endpoint) / "down").exists()


def test_no_free_slot_in_time_says_so(judge, tmp_path):
    judge.script = ["hang"]
    one = settings(judge.url, tmp_path, slots=1, budget=0.5)
    holder = threading.Thread(target=lambda: pytest.raises(RewardUnavailable, ask, one))
    holder.start()
    while not judge.prompts:
        time.sleep(0.005)
    with pytest.raises(RewardUnavailable, match="REWARD_JUDGE_SLOTS"):
        ask(replace(one, budget=0.1))
    holder.join()


def test_proxies_are_not_used_for_this_machine(judge, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert ask(settings(judge.url, tmp_path))
    assert ask(settings(judge.url.replace("127.0.0.1", "localhost"), tmp_path))


def test_proxies_are_used_for_other_machines(judge, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://{judge.address}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert ask(settings("http://judge.invalid/v1", tmp_path))
    assert judge.requests[0][0] == "http://judge.invalid/v1/chat/completions"


def graded(judge, tmp_path, answer="a b", **options):
    options = {"judge_url": judge.url, "judge_cache": tmp_path / "cache", "judge_backoff": 0.01, **options}
    return grade(SERVICE, str.__eq__, "any", rf"\boxed{{{answer}}}", "A B", {"question": "Which?"}, options)


def test_cached_verdict_asks_nobody(judge, tmp_path):
    first, second = graded(judge, tmp_path), graded(judge, tmp_path)
    assert first == second == {"score": 1.0, "acc": 1.0, "pred": "a b", "judged": True}
    assert len(judge.prompts) == 1
    assert graded(judge, tmp_path, answer="a c")["score"] == graded(judge, tmp_path, answer="a c")["score"] == 0.0
    assert len(judge.prompts) == 2
    graded(judge, tmp_path, judge_model="another")
    assert len(judge.prompts) == 3


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[]", b'{"verdict": true}', b'{"key": "x", "verdict": 1}'])
def test_damaged_entry_is_rewritten(judge, tmp_path, damage):
    graded(judge, tmp_path)
    entry, = (tmp_path / "cache").rglob("*.json")
    entry.write_bytes(damage)
    assert graded(judge, tmp_path)["score"] == 1.0
    assert len(judge.prompts) == 2
    assert json.loads(entry.read_text()) == {"key": entry.stem, "verdict": True}
    assert not list((tmp_path / "cache").glob(".partial*"))


def test_cache_that_cannot_be_written_is_a_warning(judge, tmp_path, caplog):
    (tmp_path / "cache").write_text("a file")
    assert graded(judge, tmp_path)["score"] == 1.0
    assert "REWARD_JUDGE_CACHE" in caplog.text


@pytest.mark.parametrize("behaviour", ["500", "babble", "say:Final Decision: Maybe"])
def test_no_verdict_is_never_cached(judge, tmp_path, behaviour):
    judge.default = behaviour
    pytest.raises(RewardUnavailable, graded, judge, tmp_path)
    judge.default = "good"
    assert graded(judge, tmp_path)["score"] == 1.0


def test_same_answer_from_many_threads(judge, tmp_path):
    scores = []
    threads = [threading.Thread(target=lambda: scores.append(graded(judge, tmp_path)["score"])) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scores == [1.0] * 16
