import io
import sys

import pytest

from verl.utils.console import StepProgress, duration, step_line


def test_step_line_reads_like_a_sentence():
    metrics = {
        "critic/score/mean": 0.5,
        "response_length/mean": 120.4,
        "response_length/max": 512,
        "perf/total_num_tokens": 10_000,
        "timing_s/step": 2.5
    }
    assert step_line(metrics, 1, 3, 4, 30,
                     185) == ("epoch 1/3 · step 4/30 · reward 0.500 · response 120 tokens, max 512 · "
                              "4,000 tokens/s · 2.5 s · 3:05 min left")


def test_step_line_leaves_out_what_is_not_known():
    assert step_line({}, 1, 1, 0, 5, None) == "epoch 1/1 · step 0/5"


@pytest.mark.parametrize("seconds, text", [(0, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (3599.4, "59:59 min"),
                                           (3600, "1:00 h"), (86400 * 2 + 4 * 3600, "2 d 4 h")])
def test_duration(seconds, text):
    assert duration(seconds) == text


def run_a_step():
    with StepProgress("step 1/2") as progress:
        progress.phase("generate", total=4)
        progress.advance(3)
        progress.advance()
        progress.phase("update_actor")


def test_progress_is_silent_without_a_terminal(capsys):
    run_a_step()
    assert capsys.readouterr() == ("", "")


def test_progress_shows_phases_on_a_terminal(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", terminal)
    run_a_step()
    assert "update_actor" in terminal.getvalue()
