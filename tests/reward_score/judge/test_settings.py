import pytest

from reward_score.judge.settings import JudgeService, judge_settings, split_endpoint

SERVICE = JudgeService("TEST_JUDGE", "some/model")


@pytest.mark.parametrize(("url", "endpoint"), [
    ("http://h:1", "http://h:1/v1/chat/completions"),
    ("http://h:1/", "http://h:1/v1/chat/completions"),
    ("h:1", "http://h:1/v1/chat/completions"),
    ("http://h:1/v1", "http://h:1/v1/chat/completions"),
    ("http://h:1/v1/", "http://h:1/v1/chat/completions"),
    ("http://h:1/v1/chat/completions", "http://h:1/v1/chat/completions"),
    ("http://h:1/v1/chat/completions/", "http://h:1/v1/chat/completions"),
    ("http://h:1/chat/completions", "http://h:1/chat/completions"),
    ("https://gateway/judge", "https://gateway/judge/v1/chat/completions"),
    ("https://gateway/v1beta/openai/", "https://gateway/v1beta/openai/chat/completions"),
    ("https://gateway/v1?api-version=2", "https://gateway/v1/chat/completions?api-version=2"),
    ("http://[::1]:8000", "http://[::1]:8000/v1/chat/completions"),
])
def test_every_spelling_of_a_url(url, endpoint):
    assert split_endpoint(url, "X_URL") == (endpoint, "")
    assert split_endpoint(endpoint, "X_URL") == (endpoint, "")


def test_login_becomes_a_header():
    assert split_endpoint("http://me:p%40ss@h:1", "X_URL") == ("http://h:1/v1/chat/completions", "Basic bWU6cEBzcw==")


@pytest.mark.parametrize("url",
                         ["ftp://h", "http://", "http://h:port", "http://h:1 /v1", "file:///etc/passwd", "http://[h"])
def test_no_http_url(url):
    with pytest.raises(ValueError, match="X_URL is not an HTTP URL"):
        split_endpoint(url, "X_URL")


def test_options_over_environment_over_defaults(monkeypatch):
    for name, value in {"TEST_JUDGE_URL": "http://a", "TEST_JUDGE_MODEL": "m", "REWARD_JUDGE_SLOTS": "7",
                        "REWARD_JUDGE_CACHE": "~/elsewhere"}.items():  # yapf: disable
        monkeypatch.setenv(name, value)
    settings = judge_settings(SERVICE, {"judge_url": "http://b", "judge_budget": 3, "unknown": 1})
    assert settings.endpoint == "http://b/v1/chat/completions"
    assert (settings.model, settings.slots, settings.budget, settings.authorization) == ("m", 7, 3.0, "")
    assert settings.cache.is_absolute()


@pytest.mark.parametrize("value", ["0", "-1", "many", "nan", "inf"])
def test_numbers_are_checked(monkeypatch, value):
    monkeypatch.setenv("REWARD_JUDGE_BUDGET", value)
    with pytest.raises(ValueError, match="REWARD_JUDGE_BUDGET"):
        judge_settings(SERVICE, {"judge_url": "http://b"})


def test_secrets_are_not_shown():
    url = "http://me:hidden1@h/v1?key=hidden2"
    settings = judge_settings(SERVICE, {"judge_url": url, "judge_api_key": "hidden3"})
    assert settings.authorization == "Bearer hidden3"
    assert "hidden" not in settings.judge
    assert "hidden3" not in repr(settings)
    with pytest.raises(ValueError, match="TEST_JUDGE_API_KEY") as caught:
        judge_settings(SERVICE, {"judge_url": url, "judge_api_key": "hidden\nHost: x"})
    assert "hidden" not in str(caught.value)
