"""The CPU template on two nodes of a fake SLURM, each with a network, /tmp and shared memory of its own."""
import subprocess
import time

import pytest

from tests.support.fake_slurm.cluster import FakeCluster, why_not
from tests.support.fake_slurm.job import Job
from tests.support.spelling import make_inputs

REASON = why_not()
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.skipif(REASON is not None, reason=str(REASON))]


def left(cluster: FakeCluster) -> list[str]:
    """What still runs on the nodes, when Ray's helpers have had the time to notice that it has ended."""
    deadline = time.monotonic() + 20
    while (found := [c for name in cluster.names for c in cluster.processes(name).values()]):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.2)
    return []


@pytest.fixture
def cluster(tmp_path):
    with FakeCluster(tmp_path / "slurm") as made:
        (made.folder / "in").mkdir()
        make_inputs(made.folder / "in")
        yield made


def test_it_trains_on_two_nodes_names_a_lost_one_and_resumes(cluster):
    job = Job(cluster, "first", "trainer.total_training_steps=100000")
    job.wait_for(job.run / "global_step_2")
    workers = {name: [c for c in cluster.processes(name).values() if "TrainWorker" in c] for name in cluster.names}
    assert {name: len(found) for name, found in workers.items()} == {"n1": 1, "n2": 1}, "a node each"
    assert cluster.kill("n2", "raylet/raylet"), "Ray of the second node dies"
    killed = time.monotonic()
    assert job.wait(60) == 1
    print(f"ended {time.monotonic() - killed:.1f} s after the loss")
    assert "Ray on node n2 ended while the job ran" in job.output
    assert "error: " in job.log.read_text(), "the trainer's own cause"
    assert list((job.logs / "n2.ray").glob("raylet*")), "logs are kept"
    assert left(cluster) == []

    done = job.last_step
    again = Job(cluster, "second", f"trainer.total_training_steps={done + 1}")
    assert again.wait() == 0, again.output
    assert f"resumed from {job.run}/global_step_{done}" in again.output
    assert again.steps == list(range(1, done + 2)), "each step once"
    assert left(cluster) == []


def test_a_node_that_does_not_come_is_named(cluster):
    cluster.connect("n2", "down")
    job = Job(cluster, "late", RAY_START_TIMEOUT="5")
    assert job.wait(60) == 1
    assert "1 of 2 nodes" in job.output and "missing: n2" in job.output
    assert "start_ray: n2: no head within 5 s" in job.output


def test_the_drivers_exit_code_is_the_jobs(cluster):
    job = Job(cluster, "wrong", "trainer.no_such_key=1")
    assert job.wait() == 2
    assert "unknown key trainer.no_such_key" in job.output
    assert left(cluster) == []


def test_a_cancelled_job_leaves_nothing_running(cluster):
    job = Job(cluster, "cancelled")
    job.wait_for(job.logs / "n2.ray")
    subprocess.run(["scancel", "1000"], env=cluster.env, check=True)
    assert job.wait(40) == 143
    assert "told to stop" in job.output
    assert left(cluster) == []
