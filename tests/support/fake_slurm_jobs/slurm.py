"""What the fake commands do; argv[1] says which. Only the standard library: this runs by whatever python3 there is."""
import contextlib
import fcntl
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE = Path(os.environ["FAKE_SLURM_JOBS"])
FIRST = 1001


def sbatch(argv):
    script = Path(next(word for word in argv if not word.startswith("-")))
    options = dict(word[2:].partition("=")[::2] for line in script.read_text().splitlines()
                   if line.startswith("#SBATCH") for word in shlex.split(line)[1:])  # yapf: disable
    options |= dict(word[2:].partition("=")[::2] for word in argv if word.startswith("--"))
    job = _new_job()
    folder = STATE / str(job)
    (folder / "script").write_bytes(script.read_bytes())
    (folder / "name").write_text(options.get("job-name", script.name))
    (folder / "output").write_text(options.get("output", "slurm-%j.out").replace("%j", str(job)))
    _set(folder, "PENDING")
    subprocess.Popen([sys.executable, __file__, "run", str(job)],
                     stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL,
                     start_new_session=True)
    print(job if "parsable" in options else f"Submitted batch job {job}")


def run(argv):
    """Waits for a node, runs the job there and says how it ended."""
    folder = STATE / argv[0]
    slot = _take_node(folder)
    if slot is None:
        return
    draw = random.Random(f"{os.environ['FAKE_SLURM_SEED']}/{argv[0]}")
    env = os.environ | {"SLURM_JOB_ID": argv[0]}
    if draw.random() < float(os.environ["FAKE_SLURM_FAIL"]):
        env["FAKE_SLURM_DIE_AFTER"] = str(draw.randint(0, 8))
    with open((folder / "output").read_text(), "wb") as log:
        job = subprocess.Popen(["bash", str(folder / "script")], env=env, stdin=subprocess.DEVNULL, stdout=log,
                               stderr=subprocess.STDOUT, start_new_session=True)  # yapf: disable
        (folder / "pid").write_text(str(job.pid))
        _set(folder, "RUNNING")
        code = job.wait()
    _kill(job.pid)
    if _state(folder) == "RUNNING":
        (folder / "code").write_text(f"{max(code, 0)}:{max(-code, 0)}")
        _set(folder, "COMPLETED" if code == 0 else "NODE_FAIL" if code == -signal.SIGKILL else "FAILED")
    slot.close()


def squeue(argv):
    for folder in _jobs():
        if _state(folder) in ("PENDING", "RUNNING"):
            print(f"{folder.name}|{_state(folder)}|{(folder / 'name').read_text()}")


def sacct(argv):
    folder = STATE / argv[argv.index("-j") + 1]
    if folder.is_dir():
        print(f"{_state(folder)}|{(folder / 'code').read_text() if (folder / 'code').exists() else '0:0'}")


def scancel(argv):
    for job in argv:
        folder = STATE / job
        if _state(folder) in ("PENDING", "RUNNING"):
            _set(folder, "CANCELLED")
            if (folder / "pid").exists():
                _kill(int((folder / "pid").read_text()))


def _new_job():
    STATE.mkdir(parents=True, exist_ok=True)
    job = FIRST + len(list(STATE.glob("[0-9]*")))
    while True:
        try:
            (STATE / str(job)).mkdir()
            return job
        except FileExistsError:
            job += 1


def _take_node(folder):
    """An open file whose lock stands for a node; None if the job is cancelled first."""
    while _state(folder) == "PENDING":
        for node in range(int(os.environ["FAKE_SLURM_NODES"])):
            slot = open(STATE / f"node-{node}", "w")  # noqa: SIM115 -- stays open as long as the node is taken
            try:
                fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return slot
            except BlockingIOError:
                slot.close()
        time.sleep(0.1)
    return None


def _jobs():
    return sorted((folder for folder in STATE.glob("[0-9]*") if (folder / "state").exists()), key=lambda f: int(f.name))


def _state(folder):
    return (folder / "state").read_text()


def _set(folder, state):
    new = folder / f".state-{os.getpid()}"
    new.write_text(state)
    os.replace(new, folder / "state")


def _kill(group):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2:])
