"""What the fake sbatch, srun, scontrol and scancel do; argv[1] says which. The cluster is the one of FAKE_SLURM.

As the real ones as far as the launch scripts can tell: a job's script is a copy that runs on its first node, options
stand in #SBATCH lines, steps run on the node they name with the job's environment. Unlike the real ones they end
nothing that a job leaves behind: its scripts must.
"""
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

STATE = Path(os.environ["FAKE_SLURM"])


def options_of(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """--name=value options and what follows them."""
    options: dict[str, str] = {}
    for i, word in enumerate(argv):
        if not word.startswith("--"):
            return options, argv[i:]
        name, _, value = word[2:].partition("=")
        options[name] = value
    return options, []


def on_node(node: str, command: list[str]) -> list[str]:
    pid = json.loads((STATE / "nodes.json").read_text())[node]
    return ["nsenter", "-t", str(pid), "-n", "-u", "-m", f"--wd={os.getcwd()}", *command]


def sbatch(argv: list[str]) -> int:
    given, (path, *arguments) = options_of(argv)
    script = Path(path).read_text()
    lines = [shlex.split(line)[1:] for line in script.splitlines() if line.startswith("#SBATCH")]
    options = {name: value for words in lines for name, value in options_of(words)[0].items()} | given
    names = list(json.loads((STATE / "nodes.json").read_text()))[:int(options.get("nodes", 1))]
    if len(names) < int(options.get("nodes", 1)):
        print("sbatch: error: Node count specification invalid", file=sys.stderr)
        return 1
    job = 1000 + len(list((STATE / "jobs").iterdir()))
    folder = STATE / "jobs" / str(job)
    folder.mkdir()
    (folder / "script").write_text(script)
    (folder / "script").chmod(0o755)
    log = re.sub("%[jx]", lambda m: str(job) if m[0] == "%j" else options.get("job-name", "job"),
                 options.get("output", "slurm-%j.out"))  # yapf: disable
    env = os.environ | {
        "SLURM_JOB_ID": str(job),
        "SLURM_JOB_NODELIST": ",".join(names),
        "SLURM_NNODES": str(len(names)),
        "SLURM_JOB_NUM_NODES": str(len(names)),
        "SLURM_SUBMIT_DIR": os.getcwd(),
        "SLURM_CPUS_PER_TASK": options.get("cpus-per-task", "1")
    }
    runner = [sys.executable, __file__, "run", str(folder), names[0], *arguments]
    with open(log, "a") as out:
        process = subprocess.Popen(runner,
                                   env=env,
                                   stdout=out,
                                   stderr=out,
                                   stdin=subprocess.DEVNULL,
                                   start_new_session=True)
    print(f"Submitted batch job {job}")
    return process.wait() if "wait" in options else 0


def run(folder: str, node: str, *arguments: str) -> int:
    """The batch step: the job's script on its first node."""
    with subprocess.Popen(on_node(node, [f"{folder}/script", *arguments])) as process:
        (Path(folder) / "pid").write_text(str(process.pid))
        code = process.wait()
    (Path(folder) / "exit_code").write_text(str(code))
    return code


def srun(argv: list[str]) -> int:
    options, command = options_of(argv)
    with subprocess.Popen(on_node(options["nodelist"], command)) as process:

        def forward(number: int, _: FrameType | None) -> None:
            process.send_signal(number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, forward)
        code = process.wait()
    return code if code >= 0 else 128 - code


def scontrol(argv: list[str]) -> int:
    if argv[:2] != ["show", "hostnames"]:
        return 1
    print("\n".join(argv[2].split(",")))
    return 0


def scancel(argv: list[str]) -> int:
    os.kill(int((STATE / "jobs" / argv[0] / "pid").read_text()), signal.SIGTERM)
    return 0


if __name__ == "__main__":
    known = {"sbatch": sbatch, "srun": srun, "scontrol": scontrol, "scancel": scancel}
    name, *rest = sys.argv[1:]
    sys.exit(run(*rest) if name == "run" else known[name](rest))
