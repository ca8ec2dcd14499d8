"""Every launch template on two nodes of a fake SLURM: two steps, a node's Ray killed, and the job submitted again.

    python -m bench.templates [NAME...]

The model is the quick start's, untrained, on CPUs; each node has a network, /tmp and shared memory of its own. Needs
root. Two steps of a template for 16 GPU nodes say that its script, its arguments and its Ray work, not that a 32B model
fits.
"""
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.fake_slurm.cluster import ROOT, FakeCluster, why_not
from tests.support.fake_slurm.job import Job
from tests.support.spelling import make_inputs

STEPS, GOAL = 2, 60  # steps before the kill; seconds from there to the end of the job
TEMPLATES = sorted(path.stem for path in (ROOT / "scripts" / "templates").glob("*.sh"))


def try_template(name: str) -> dict[str, Any]:
    """`problem` is None if it trained, named the lost node in time and went on from its last checkpoint."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, FakeCluster(Path(folder) / "slurm") as cluster:
        (cluster.folder / "in").mkdir()
        make_inputs(cluster.folder / "in")
        found: dict[str, Any] = {"problem": None}
        try:
            found |= _kill_and_resume(name, cluster)
        except AssertionError as problem:
            found["problem"] = str(problem)[-4000:]
    return {**found, "seconds": round(time.monotonic() - started, 1)}


def _kill_and_resume(name: str, cluster: FakeCluster) -> dict[str, Any]:
    job = Job(cluster, "first", "trainer.total_training_steps=100000", template=name)
    job.wait_for(job.run / f"global_step_{STEPS}")
    assert cluster.kill("n2", "raylet/raylet"), "there is no Ray on n2"
    killed = time.monotonic()
    code = job.wait(2 * GOAL)
    ended = time.monotonic() - killed
    assert code == 1 and "Ray on node n2 ended while the job ran" in job.output, f"exit code {code}\n{job.output}"
    done = job.last_step
    again = Job(cluster, "second", f"trainer.total_training_steps={done + 1}", template=name)
    code = again.wait()
    assert code == 0 and f"global_step_{done}" in again.output, f"resumed: exit code {code}\n{again.output}"
    assert again.steps == list(range(1, done + 2)), f"the steps of both jobs are {again.steps}"
    return {"steps_before": done, "seconds_from_kill_to_end": round(ended, 1), "steps_in_all": done + 1}


def passed(found: dict[str, Any]) -> bool:
    """Whether a template did what is asked for."""
    return found["problem"] is None and found["seconds_from_kill_to_end"] <= GOAL


def try_all(names: list[str]) -> dict[str, dict[str, Any]]:
    """One after the other: each takes both cores.

    Raises:
        RuntimeError: there can be no such cluster here.
    """
    if why_not():
        raise RuntimeError(f"no fake SLURM here: {why_not()}")
    results = {}
    for name in names:
        results[name] = try_template(name)
        print(name, json.dumps(results[name]), flush=True)
    return results


if __name__ == "__main__":
    sys.exit(not all(map(passed, try_all(sys.argv[1:] or TEMPLATES).values())))
