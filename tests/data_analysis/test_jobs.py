import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.data_analysis import SERVER, generation_with_failures
from data_analysis.answers import answer_split
from data_analysis.batch import make_answer
from data_analysis.job_script import JobSettings, job_name, job_script
from data_analysis.monitor import Monitor
from data_analysis.slurm import LiveJob, Slurm, SlurmError
from tests.data_analysis.support import MODEL, make_run
from tests.support import fake_slurm_jobs

ROOT = Path(__file__).parents[2]
SETTINGS = JobSettings(MODEL, 2, 0, sys.executable, gpus=0)


class Instant:
    """Answers everything at once."""

    def answer(self, tasks, write):
        for task in tasks:
            write(make_answer(task, "a", "stop", 1))


class ScriptedSlurm(Slurm):
    """At look k, `looks[k](self)` happens, which may change what is alive; after the last, nothing changes."""

    def __init__(self, *looks):
        self.looks, self.alive, self.submitted = list(looks), {}, []

    def submit(self, script, options):
        self.submitted.append(script.name)
        job = str(1000 + len(self.submitted))
        name = next(line for line in script.read_text().splitlines() if "--job-name" in line).split("=")[1]
        self.alive[job] = LiveJob(job, name, "RUNNING")
        return job

    def live(self):
        if self.looks:
            self.looks.pop(0)(self)
        return dict(self.alive)

    def ending(self, job):
        return "FAILED 1:0"


def nothing(slurm):
    pass


def end_all(slurm):
    slurm.alive.clear()


def finish(run):
    """All of the jobs do their work and end."""

    def act(slurm):
        for i in range(run.data.manifest().splits):
            answer_split(run, i, SETTINGS.n, Instant)
        slurm.alive.clear()

    return act


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path)


def monitor(run, slurm, **changes):
    lines = []
    made = Monitor(run, SETTINGS, slurm=slurm, say=lines.append, **{"poll": 0.01, "retries": 2} | changes)
    made.lines = lines
    return made


def test_jobs_that_die_at_work_leave_every_request_answered_once():
    found = generation_with_failures(4, fail=0.5, seed=1)
    assert found["exit code"] == 0, found
    assert found["jobs"]["NODE_FAIL"] >= 2 and found["jobs"]["COMPLETED"] == 4, found
    assert (found["requests"], found["answered once"], found["not once"], found["wrong"]) == (60, 60, 0, 0)


def test_each_split_gets_a_job_and_its_id_is_kept(run, tmp_path):
    watched = monitor(run, slurm := ScriptedSlurm(nothing, nothing, finish(run)))
    assert watched.run() == 0
    assert slurm.submitted == ["node_0_job.sh", "node_1_job.sh"]
    assert (tmp_path / "sgl_job_ids.txt").read_text() == "1001\n1002\n"
    assert sorted(file.name for file in (tmp_path / "temp_job_scripts").iterdir()) == slurm.submitted
    assert "2 done; answers: 8 of 8 (100.0 %)" in watched.lines[-1]


def test_a_split_that_keeps_failing_is_given_up_and_named(run):
    watched = monitor(run, slurm := ScriptedSlurm(*[end_all] * 40))
    assert watched.run() == 1
    assert sorted(slurm.submitted) == ["node_0_job.sh"] * 3 + ["node_1_job.sh"] * 3
    assert "2 splits failed 3 times" in watched.lines[-1]
    assert "split 1: job 1006: FAILED 1:0" in watched.lines[
        -1] and "sbatch temp_job_scripts/node_0_job.sh" in watched.lines[-1]


def test_a_job_that_squeue_forgets_for_one_look_is_not_submitted_again(run):
    hidden = {}

    def hide(slurm):
        hidden.update(slurm.alive)
        slurm.alive.clear()

    watched = monitor(run, slurm := ScriptedSlurm(nothing, nothing, hide, lambda s: s.alive.update(hidden),
                                                  finish(run)))
    assert watched.run() == 0 and len(slurm.submitted) == 2


def test_a_monitor_started_again_takes_over_the_jobs_that_run(run):

    def others(slurm):
        slurm.alive = {str(i): LiveJob(str(i), job_name(run, i), "PENDING") for i in range(2)}

    watched = monitor(run, slurm := ScriptedSlurm(others, nothing, finish(run)))
    assert watched.run() == 0 and slurm.submitted == []
    assert Path("sgl_job_ids.txt").read_text() == "0\n1\n"


def test_ids_added_by_hand_are_waited_for(run):
    """Both splits are given up, but a job of another name, whose id is in the file, answers them."""
    Path("sgl_job_ids.txt").write_text("77  # by hand")
    by_hand = LiveJob("77", "mine", "RUNNING")

    def die(slurm):
        slurm.alive = {"77": by_hand, "78": LiveJob("78", "unrelated", "RUNNING")}

    watched = monitor(run, slurm := ScriptedSlurm(*[die] * 30, finish(run)))
    assert watched.run() == 0 and len(slurm.submitted) == 6
    assert any("failed" in line for line in watched.lines)
    assert Path("sgl_job_ids.txt").read_text().startswith("77  # by hand\n1001\n")


def test_slurm_may_fail_for_a_while(run, monkeypatch, capsys):

    def fail(slurm):
        raise SlurmError("slurmctld is busy")

    submit = ScriptedSlurm.submit
    refusals = iter([True, False])

    def refuse_once(self, script, options):
        if script.name == "node_0_job.sh" and next(refusals):
            raise SlurmError("sbatch: error: QOSMaxSubmitJobPerUserLimit")
        return submit(self, script, options)

    monkeypatch.setattr(ScriptedSlurm, "submit", refuse_once)
    watched = monitor(run, slurm := ScriptedSlurm(fail, nothing, fail, nothing, nothing, finish(run)), retries=0)
    assert watched.run() == 0 and sorted(slurm.submitted) == ["node_0_job.sh", "node_1_job.sh"]
    assert "slurmctld is busy; looking again" in capsys.readouterr().err
    assert any("QOSMaxSubmitJobPerUserLimit" in line for line in watched.lines)
    with pytest.raises(SlurmError):
        monitor(run, ScriptedSlurm(*[fail] * 30)).run()


def test_an_empty_split_needs_no_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path, rows=1, splits=3)
    watched = monitor(run, slurm := ScriptedSlurm(nothing, finish(run)))
    assert watched.run() == 0 and slurm.submitted == ["node_0_job.sh"]


def test_a_complete_run_submits_nothing(run):
    finish(run)(ScriptedSlurm())
    watched = monitor(run, slurm := ScriptedSlurm())
    assert watched.run() == 0 and slurm.submitted == []


@pytest.mark.parametrize("engine, words", [
    ("sglang", ["-m sglang.launch_server --model-path", "--tp-size 2 --dp-size 4"]),
    ("vllm", ["-m vllm.entrypoints.openai.api_server --model", "--tensor-parallel-size 2 --data-parallel-size 4"]),
])  # yapf: disable
def test_the_job_script(run, tmp_path, engine, words):
    settings = JobSettings("o'model", 2, 0, "python", engine, 8, 2, slurm="--partition=main --time=1:00:00",
                           server_args="--extra 1")  # yapf: disable
    text = job_script(run, 1, settings)
    assert all(word in text for word in [*words, "--extra 1 >", "#SBATCH --gres=gpu:8", "#SBATCH --partition=main"])
    (tmp_path / "job.sh").write_text(text)
    assert subprocess.run(["bash", "-n", "job.sh"], cwd=tmp_path, check=True, capture_output=True).stderr == b""


def generate(folder, *arguments, **changes):
    env = fake_slurm_jobs.environment(folder / "slurm") | {
        "PYTHON": sys.executable, "DATA": "data", "MODEL": MODEL, "N": "2", "GPUS_PER_NODE": "0", "POLL_SECONDS": "0.3",
        "SERVER_COMMAND": f'"$PYTHON" {SERVER} --port "$PORT"'
    }  # yapf: disable
    command = ["bash", str(ROOT / "data_analysis" / "sgl_generate.sh"), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=env | changes, text=True, stdout=pipe, stderr=pipe)


def test_a_dry_run_prints_all_and_runs_nothing(run, tmp_path):
    out, _ = generate(tmp_path, DRY_RUN="1", SERVER_COMMAND="").communicate(timeout=60)
    assert "sglang.launch_server" in out
    assert "sbatch --parsable temp_job_scripts/node_0_job.sh\nsbatch --parsable temp_job_scripts/node_1_job.sh\n" in out
    local, _ = generate(tmp_path, "--local", DRY_RUN="1").communicate(timeout=60)
    assert local.startswith("python -m data_analysis generate --local --data data")
    assert not any((tmp_path / name).exists() for name in ("temp_job_scripts", "sgl_job_ids.txt", "slurm"))


def test_a_server_that_does_not_start_fails_its_job_which_says_so(run, tmp_path):
    waiting = generate(tmp_path, SERVER_COMMAND="false", MAX_RESUBMIT="0")
    out, _ = waiting.communicate(timeout=120)
    assert waiting.returncode == 1
    assert "2 splits failed 1 times" in out and "job 1001: FAILED 1:0" in out
    log = (run.path / "logs" / "split_0-1001.out").read_text()
    assert "the server ended before it was ready" in log and "split 0 is not complete; the server's log is" in log


def test_a_cancelled_job_is_submitted_again(run, tmp_path):
    waiting = generate(tmp_path, SERVER_COMMAND=f'"$PYTHON" {SERVER} --port "$PORT" --delay 0.5')
    deadline = time.monotonic() + 60
    while not (tmp_path / "slurm" / "1001" / "pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    env = os.environ | {"FAKE_SLURM_JOBS": str(tmp_path / "slurm")}
    subprocess.run([fake_slurm_jobs.HERE / "scancel", "1001"], env=env, check=True)
    out, err = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, err
    assert "job 1001: CANCELLED" in out and (tmp_path / "sgl_job_ids.txt").read_text() == "1001\n1002\n1003\n"


def test_without_slurm_or_data_it_says_what_to_do(run, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("bash", "dirname"):
        os.symlink(
            subprocess.run(["which", tool], capture_output=True, text=True, check=True).stdout.strip(), folder / tool)
    waiting = generate(tmp_path, PATH=str(folder))
    assert "there is no squeue on PATH: run this on a login node" in waiting.communicate(timeout=60)[1]
    waiting = generate(tmp_path, DATA="nowhere")
    assert "nowhere holds no split dataset; make it: python transform_dataset.py" in waiting.communicate(timeout=60)[1]
    assert waiting.returncode == 2
