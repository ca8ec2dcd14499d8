import json
import subprocess
import sys
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_analysis.answers import UnansweredError, answer_split
from data_analysis.batch import make_answer, read_answers, read_tasks
from data_analysis.journal import Journal, JournalBusyError
from data_analysis.server import Server, ServerGoneError, free_port
from tests.data_analysis.support import MODEL, make_run, training_rows
from tests.support.fake_slurm_jobs.server import FakeServer


@pytest.fixture
def server():
    with FakeServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()


class Counted:
    """Answers `limit` tasks, then fails like an engine that dies."""

    def __init__(self, limit=10**9, order=lambda tasks: tasks):
        self.limit, self.order, self.asked = limit, order, []

    def answer(self, tasks, write):
        for task in self.order(list(tasks)):
            if len(self.asked) == self.limit:
                raise RuntimeError("gone")
            self.asked.append(task.key)
            write(make_answer(task, f"answer to {task.custom_id}/{task.sample}", "stop", 1))


def keys(run, i):
    return [answer.key for answer in read_answers([run.answers(i)])]


@given(deaths=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60)), max_size=4))
def test_however_often_it_dies_every_request_is_answered_once(tmp_path_factory, deaths):
    run = make_run(tmp_path_factory.mktemp("r"), rows=4, splits=1)
    asked = Counter()
    for limit, torn in deaths:
        engine = Counted(limit)
        if limit < 12 - sum(asked.values()):
            with pytest.raises(RuntimeError, match="gone"):
                answer_split(run, 0, 3, lambda engine=engine: engine)
            with run.answers(0).open("ab") as file:  # what a kill within a write leaves
                file.write(b'{"custom_id": "a", "sample": 0, "response": {"body": null}, "error": null}'[:torn])
        else:
            answer_split(run, 0, 3, lambda engine=engine: engine)
        asked.update(engine.asked)
    answer_split(run, 0, 3, Counted)
    lines = [json.loads(line) for line in run.answers(0).read_text().splitlines()]
    wanted = Counter(task.key for task in read_tasks(run.data.split(0), 3))
    assert Counter((line["custom_id"], line["sample"]) for line in lines) == wanted
    assert not asked - wanted, "nothing was asked twice"
    assert run.is_done(0, 3) and not run.is_done(0, 4)


def test_more_answers_are_added_to_those_that_there_are(tmp_path):
    run, engine = make_run(tmp_path, rows=3, splits=1), Counted()
    assert answer_split(run, 0, 2, lambda: engine) == 6
    assert answer_split(run, 0, 2, lambda: pytest.fail("nothing to ask")) == 0
    assert answer_split(run, 0, 5, lambda: engine) == 9
    assert len(set(engine.asked)) == len(engine.asked) == len(keys(run, 0)) == 15


def test_an_engine_that_leaves_requests_out_is_told_of(tmp_path):
    run = make_run(tmp_path, rows=3, splits=1)
    with pytest.raises(UnansweredError, match="split 0: 1 of 3 requests have no answer"):
        answer_split(run, 0, 1, lambda: Counted(order=lambda tasks: tasks[:-1]))
    assert not run.is_done(0, 1)


def test_an_engine_that_answers_twice_is_heard_once(tmp_path):
    run = make_run(tmp_path, rows=3, splits=1)
    answer_split(run, 0, 1, lambda: Counted(order=lambda tasks: tasks + tasks))
    assert len(run.answers(0).read_text().splitlines()) == 3


def test_a_split_that_another_process_answers_is_left_to_it(tmp_path):
    run = make_run(tmp_path)
    with Journal(run.answers(0)), pytest.raises(JournalBusyError):
        answer_split(run, 0, 1, Counted)


def test_an_empty_split_is_complete(tmp_path):
    run = make_run(tmp_path, rows=1, splits=2)
    assert answer_split(run, 1, 8, lambda: pytest.fail("nothing to ask")) == 0 and run.is_done(1, 8)


def test_answers_of_another_model_seed_or_dataset_do_not_mix(tmp_path):
    run = make_run(tmp_path)
    run.open(MODEL, 0)
    for model, seed in (("other/model", 0), (MODEL, 1)):
        with pytest.raises(ValueError, match="holds answers of"):
            run.open(model, seed)


def test_a_server_is_asked_by_model_and_seed(tmp_path, server):
    run = make_run(tmp_path, rows=4, splits=1)
    client = Server(server.url, MODEL, seed=7, concurrency=3)
    client.wait_until_ready(10)
    answer_split(run, 0, 3, lambda: client)
    texts = [answer.text for answer in read_answers([run.answers(0)])]
    assert len(set(texts)) == 12, "each sample has a seed of its own"
    assert {text.split(" / ")[0] for text in texts} == {row["prompt"][0]["content"] for row in training_rows(4)}


def test_a_refused_request_is_answered_by_its_error(tmp_path, server):
    run = make_run(tmp_path, rows=2, splits=1)
    lines = run.data.split(0).read_text().splitlines()
    run.data.split(0).write_text("\n".join([lines[0].replace("0+0=?", "too long"), lines[1]]) + "\n")
    answer_split(run, 0, 2, lambda: Server(server.url, MODEL, 0))
    errors = [answer.error for answer in read_answers([run.answers(0)]) if answer.text is None]
    assert len(errors) == 2 and all("the prompt is too long" in error for error in errors)
    assert run.is_done(0, 2)


def test_one_bad_request_does_not_keep_the_others_from_being_answered(tmp_path, server, capsys):
    run = make_run(tmp_path, rows=4, splits=1)
    run.data.split(0).write_text(run.data.split(0).read_text().replace("1+1=?", "cut short"))
    bad = read_tasks(run.data.split(0), 1)[1].custom_id
    with pytest.raises(UnansweredError, match=bad):
        answer_split(run, 0, 1, lambda: Server(server.url, MODEL, 0, tries=2, pause=0.01))
    assert len(keys(run, 0)) == 3 and "given up after 2 tries: IncompleteRead" in capsys.readouterr().err


def test_a_server_that_is_gone_ends_the_job_soon(tmp_path):
    run = make_run(tmp_path)
    with pytest.raises(ServerGoneError, match="answers no more"):
        answer_split(run, 0, 1, lambda: Server(f"http://127.0.0.1:{free_port()}", MODEL, 0, tries=2, pause=0.01))


def test_a_server_that_never_comes_up_is_named():
    dead = subprocess.Popen([sys.executable, "-c", ""])
    while dead.poll() is None:
        pass
    server = Server(f"http://127.0.0.1:{free_port()}", MODEL, 0, pid=dead.pid)
    with pytest.raises(ServerGoneError, match="ended before it was ready"):
        server.wait_until_ready(30)
    with pytest.raises(ServerGoneError, match=r"not ready within 0.2 s"):
        Server(f"http://127.0.0.1:{free_port()}", MODEL, 0).wait_until_ready(0.2)
