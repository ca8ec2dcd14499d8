import asyncio
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.runs import make_tokenizer
from verl.workers.reward import reward_worker
from verl.workers.reward.reward_worker import RewardWorker, Task

CUSTOM = str(Path(__file__).parents[3] / "support" / "custom_reward.py")


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def worker(tokenizer_folder):
    pool = {"num_workers": 2, "timeout": 1.0, "custom": (CUSTOM, "compute_score", {"bonus": 0.5})}
    worker = RewardWorker(tokenizer_folder, False, pool)
    yield worker
    asyncio.run(worker.close())
    assert not [child for child in psutil.Process().children() if "supervisor" in " ".join(child.cmdline())]


def answer(text, index=0):
    ids = make_tokenizer()(text, add_special_tokens=False)["input_ids"]
    return np.array(ids, np.int32), Task("any", "right", {"index": index})


def score(worker, answers):
    ids, tasks = zip(*answers, strict=True)
    return worker.score(list(ids), *tasks)


def test_answers_are_decoded_and_scored_in_order(worker):
    answers = [answer("right", 0), answer("wrong", 1), answer("right<end>", 2), answer("", 3)]
    answers[0][0].flags.writeable = False  # as an array is that comes from Ray
    scored = asyncio.run(score(worker, answers))
    assert [text for text, _ in scored] == ["right", "wrong", "right", ""]
    assert [result.score for _, result in scored] == [1.5, 0.5, 1.5, 0.5]
    assert [result.extra["place"] for _, result in scored] == [0, 1, 2, 3]
    assert {result.status for _, result in scored} == {"ok"}


def test_what_goes_wrong_costs_its_own_answer_only(worker):
    scored = asyncio.run(score(worker, [answer(text) for text in ("sleep 99", "right", "exit 3", "fail x", "right")]))
    assert [result.status for _, result in scored] == ["timeout", "ok", "crash", "error", "ok"]
    assert [result.score for _, result in scored] == [0.0, 1.5, 0.0, 0.0, 1.5]


def test_calls_at_the_same_time_do_not_mix(worker):

    async def both():
        many = [score(worker, [answer("right", i), answer("wrong", -i)]) for i in range(5)]
        return await asyncio.gather(*many)

    for i, scored in enumerate(asyncio.run(both())):
        assert [(result.score, result.extra["place"]) for _, result in scored] == [(1.5, i), (0.5, -i)]


def test_answers_that_wait_though_none_is_scored_are_noticed(tokenizer_folder, monkeypatch):
    """The pool's processes are stopped, so that its own deadlines do not work either."""
    monkeypatch.setattr(reward_worker, "STALL_TIMEOUT", 0.3)
    pool = {"num_workers": 1, "timeout": 0.3, "custom": (CUSTOM, "compute_score", {})}
    worker = RewardWorker(tokenizer_folder, False, pool)
    processes = psutil.Process().children(recursive=True)

    async def score_and_ping():
        await asyncio.sleep(0.8)
        await worker.ping()  # there is nothing to do
        for process in processes:
            process.suspend()
        scoring = asyncio.create_task(score(worker, [answer("right"), answer("right")]))
        await asyncio.sleep(0.1)
        await worker.ping()
        await asyncio.sleep(0.8)
        with pytest.raises(RuntimeError, match="^no answer was scored for .* s, though 2 wait"):
            await worker.ping()
        for process in processes:
            process.resume()
        await scoring
        await worker.ping()

    asyncio.run(score_and_ping())
    asyncio.run(worker.close())


def test_a_source_without_a_reward_is_refused_at_the_start(tokenizer_folder):
    with pytest.raises(ValueError, match="nobody_knows"):
        RewardWorker(tokenizer_folder, False, {"num_workers": 1, "timeout": 1.0, "data_sources": ["nobody_knows"]})
