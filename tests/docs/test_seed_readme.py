"""docs/seed_readme.md: each command that it calls working is run or dry-run, each proof that it names exists."""
import ast
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from packaging.requirements import Requirement

from tests.support.fake_slurm.cluster import FakeCluster, why_not
from tests.support.runs import ppo_argv, rl_row, save_lm, write_rows
from tests.support.spelling import ROOT
from tests.support.viewer_data import make_table
from verl.config import load_ppo_config

PAGE = ROOT / "docs" / "seed_readme.md"
NOT_RUN = ("not run", "no")
REPOSITORY = (".streamlit", "data_analysis", "data_viewer.py", "ray_utils", "scripts", "transform_dataset.py", "verl",
              "viewer", "pyproject.toml", "setup.py", "README.md")  # yapf: disable


class Line(NamedTuple):
    """A row of the page; `command` is None for what the seed promises in prose."""
    says: str
    here: str
    proof: str

    @property
    def command(self) -> str | None:
        found = re.fullmatch(r"`\$ (.+)`", self.says)
        return found and found[1]

    @property
    def state(self) -> str:
        return re.match(r"works|otherwise|not run|no\b|", self.here.removeprefix("GPU: "))[0]


LINES = [Line(*(cell.strip() for cell in line.strip("|").split(" | ")))
         for line in PAGE.read_text().splitlines() if re.match(r"\| [\"`]", line)]  # yapf: disable
COMMANDS = [line.command for line in LINES if line.command and line.state not in NOT_RUN]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Sixteen nodes, or None where none can be made."""
    if why_not():
        yield None
        return
    with FakeCluster(tmp_path_factory.mktemp("seed") / "slurm", nodes=16) as made:
        yield made


@pytest.fixture(scope="module")
def folder(cluster, tmp_path_factory):
    """Where a user stands: the repository's files, data in its place, a local model."""
    folder = cluster.folder if cluster else tmp_path_factory.mktemp("seed")
    for name in REPOSITORY:
        (folder / name).symlink_to(ROOT / name)
    save_lm(folder / "model")
    for split in ("train", "test"):
        (folder / "data" / split).mkdir(parents=True)
        for name in ("math__gsm8k_2", "math__math_lighteval_2"):
            write_rows(folder / "data" / split / f"{name}.parquet", [rl_row(0), rl_row(1)])
    make_table(folder / "file.json")
    raw = folder / "SynthLabsAI" / "Big-Math-RL-Verified"
    raw.mkdir(parents=True)
    problems = ({"problem": f"{i}+{i}?", "answer": str(2 * i)} for i in range(70))
    (raw / "train.jsonl").write_text("".join(json.dumps(problem) + "\n" for problem in problems))
    return folder


def bash(command: str, folder: Path, **env: str) -> str:
    """Output of `command` as a user types it, in an environment like ours that is active; it must succeed."""
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment(env), capture_output=True, text=True,
                          check=False)  # yapf: disable
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def environment(more: dict[str, str]) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{more.pop('PATH', os.environ['PATH'])}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)} | more


def check_template(command: str, folder: Path, cluster: FakeCluster | None) -> None:
    """Its trainer would start on the nodes of its #SBATCH lines with arguments that the config accepts."""
    env = {"DRY_RUN": "1", "BASE_MODEL": f"{folder}/model", "CONTAINER_IMAGE": "image"}
    how, script = command.split()
    nodes = int(re.search(r"--nodes=(\d+)", (ROOT / script).read_text() + "--nodes=1")[1])
    if how == "sbatch" and cluster:
        printed = submitted(command, folder, cluster, env)
    else:
        printed = bash(command.replace("sbatch", "bash"), folder, **env)
    steps = [shlex.split(line) for line in printed.splitlines() if "verl.trainer.main_ppo" in line]
    assert len(steps) == 1, printed
    config = load_ppo_config(steps[0][steps[0].index("verl.trainer.main_ppo") + 1:])
    assert config.trainer.nnodes == nodes
    if nodes > 1:
        assert len(re.findall("^env RANK=", printed, re.MULTILINE)) == nodes


def submitted(command: str, folder: Path, cluster: FakeCluster, env: dict[str, str]) -> str:
    """What a job of the fake SLURM prints."""
    said = bash(command, folder, **env, PATH=cluster.env["PATH"], FAKE_SLURM=cluster.env["FAKE_SLURM"])
    job = re.search(r"Submitted batch job (\d+)", said)[1]
    end, code = time.monotonic() + 60, cluster.folder / "jobs" / job / "exit_code"
    while not (code.exists() and code.read_text()):
        assert time.monotonic() < end, f"job {job} does not end"
        time.sleep(0.05)
    printed = "".join(path.read_text() for path in folder.glob(f"*-{job}.out"))
    assert code.read_text() == "0", printed
    return printed


def check_conda_path(command: str, folder: Path, cluster: FakeCluster | None) -> None:
    template = "scripts/templates/conda-fsdp-qwen2.5_math_3b-1node-ppo.sh"
    printed = bash(f"{command}; bash {template}", folder, DRY_RUN="1", BASE_MODEL=f"{folder}/model")
    assert re.search(r"^/path/to/conda/bin/python -m verl.trainer.main_ppo", printed, re.MULTILINE)


def check_viewer(command: str, folder: Path, cluster: FakeCluster | None) -> None:
    """It serves, on this machine's own address only, at the seed's port unless told otherwise."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = command.replace("path/to/your/file.json", "file.json")
    server = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=folder, stdout=subprocess.DEVNULL,
                              env=environment({"STREAMLIT_SERVER_PORT": str(port)}))  # yapf: disable
    try:
        wait_until_up(f"http://127.0.0.1:{port}/", server)
        listening = [c.laddr for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}
        assert port in {address.port for address in listening}
    finally:
        server.terminate()
        server.wait(10)


def wait_until_up(url: str, server: subprocess.Popen) -> None:
    end = time.monotonic() + 60
    while True:
        assert server.poll() is None and time.monotonic() < end
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)


def check_ssh(command: str, folder: Path, cluster: FakeCluster | None) -> None:
    """ssh understands it, and the port is the one that the viewer listens on."""
    from streamlit import config
    if shutil.which("ssh"):
        ours, theirs = bash(command.replace("ssh", "ssh -G", 1), folder).split("localforward ")[1].split()[:2]
        assert (ours, theirs) == ("8501", "[localhost]:8501")
    settings = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())
    assert settings["server"].get("port", config.get_option("server.port")) == 8501


def check_install(command: str, folder: Path, cluster: FakeCluster | None) -> None:
    """pip finds what is asked for: what is installed already, or this project with these extras."""
    report = folder / "report.json"
    flags = f"--dry-run --no-deps --no-build-isolation --quiet --report {report}"
    bash(command.removeprefix("uv ").replace("install", f"install {flags}", 1), folder)
    found = json.loads(report.read_text())["install"]
    extras = re.search(r"\[(.+)]", command)
    if not extras:
        assert found == [], "satisfied by what the tests run with"
        return
    metadata = found[0]["metadata"]
    assert set(extras[1].split(",")) <= set(metadata["provides_extra"])
    pins = map(Requirement, metadata["requires_dist"])
    wanted = {pin.name for pin in pins for extra in extras[1].split(",")
              if pin.marker is None or pin.marker.evaluate({"extra": extra})}  # yapf: disable
    assert {"torch", "ray", "vllm", "wandb", "math-verify", "reasoning-gym"} <= wanted and "flash-attn" not in wanted


def check_download(command: str, folder: Path, cluster: FakeCluster | None) -> None:
    program, verb, repository, option, target = shlex.split(command.replace("<", "").replace(">", ""))
    shown = bash(f"hf {verb} --help", folder, HF_HUB_DISABLE_UPDATE_CHECK="1")
    assert option in shown and "REPO_ID" in shown


def check_key(command: str, folder: Path, cluster: FakeCluster | None) -> None:
    """The config takes it, and it means what it says."""
    key, value = command.removesuffix(" \\").split("=")
    fixed = ppo_argv(folder, data__train_files=folder / "data/train/math__gsm8k_2.parquet")
    config = load_ppo_config([*fixed, f"{key}={value.replace('...', '5')}"])
    if value == "...":
        assert config.trainer.log_val_generations == 5
    else:
        assert getattr(config.actor_rollout_ref.rollout, key.rsplit(".", 1)[1]) is True


def check_transform(command: str, folder: Path, cluster: FakeCluster | None) -> None:
    assert "70 requests in 64 splits" in bash(command, folder)
    assert len(list((folder / "big-math-rl-verified_problems").glob("split_*.jsonl"))) == 64


def check_generate(command: str, folder: Path, cluster: FakeCluster | None) -> None:
    """The settings that stand in the script fit the splits that the command before it made."""
    if not (folder / "big-math-rl-verified_problems").exists():
        check_transform(next(c for c in COMMANDS if "transform_dataset" in c), folder, cluster)
    printed = bash(command, folder, DRY_RUN="1")
    assert "sglang.launch_server" in printed and "Qwen/Qwen2.5-7B-Instruct" in printed
    assert len(re.findall(r"^sbatch --parsable temp_job_scripts/node_\d+_job.sh$", printed, re.MULTILINE)) == 64


def check_hooks(command: str, folder: Path, cluster: FakeCluster | None) -> None:
    """In a repository with our configuration: good files pass, a badly formatted one does not."""
    checkout = folder / f"checkout-{len(command)}"
    checkout.mkdir()
    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    (checkout / "good.py").write_text("x = 1\n")
    bash("git init -q . && git add -A && pre-commit validate-config", checkout)
    bash(command, checkout, PRE_COMMIT_HOME=f"{folder}/pre-commit")
    if command == "pre-commit install":
        assert "pre-commit" in (checkout / ".git/hooks/pre-commit").read_text()
        return
    (checkout / "good.py").write_text("x   =  1\n")
    failed = subprocess.run(["bash", "-c", command], cwd=checkout, capture_output=True, text=True, check=False,
                            env=environment({"PRE_COMMIT_HOME": f"{folder}/pre-commit"}))  # yapf: disable
    assert failed.returncode == 1 and "yapf" in failed.stdout and (checkout / "good.py").read_text() == "x = 1\n"


def check_interface(command: str, folder: Path, cluster: FakeCluster | None) -> None:
    """A name that the user gives reaches Ray; start_ray.sh asks an interpreter that writes down what it is told."""
    python = folder / "python_of_ray"
    python.write_text('#!/bin/sh\ncase $1 in *node_address.py) echo 127.0.0.1 lo 6399;; '
                      '*) echo "$GLOO_SOCKET_IFNAME $NCCL_SOCKET_IFNAME";; esac\n')
    python.chmod(0o755)
    printed = bash(f"{command}; bash ray_utils/start_ray.sh", folder, RANK="0", PYTHON=str(python),
                   RAY_HEAD_FILE=f"{folder}/head")  # yapf: disable
    assert f"{command.split('=')[1]} lo\n" in printed


CHECKS = {
    r"(bash|sbatch) scripts/templates/\S+\.sh": check_template,
    r"export CONDA_BIN_PATH=\S+": check_conda_path,
    r"streamlit run data_viewer\.py( .*)?": check_viewer,
    r"ssh -L .*": check_ssh,
    r"(uv )?pip install .*": check_install,
    r"huggingface-cli download .*": check_download,
    r"(actor_rollout_ref|trainer)\.[\w.]+=.*": check_key,
    r"python transform_dataset\.py .*": check_transform,
    r"bash data_analysis/sgl_generate\.sh": check_generate,
    r"pre-commit .*": check_hooks,
    r"export GLOO_SOCKET_IFNAME=\S+": check_interface,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command(command, folder, cluster, monkeypatch):
    monkeypatch.chdir(folder)
    check, = (check for pattern, check in CHECKS.items() if re.fullmatch(pattern, command))
    check(command, folder, cluster)


def test_no_command_has_left_the_page():
    assert [pattern for pattern in CHECKS if not any(re.fullmatch(pattern, c) for c in COMMANDS)] == []
    assert len(COMMANDS) == len(set(COMMANDS)) == 22


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.says[:60])
def test_every_line_has_a_state_and_a_proof(line):
    """A command's proof is `test_the_command`, a promise's is a test that there is; what is not so has a reason."""
    assert line.state, f"{line.here}: works, otherwise, not run or no?"
    assert line.state not in NOT_RUN or len(line.here) > 40, "the reason is missing"
    assert line.proof or line.state in NOT_RUN
    if line.proof and line.proof != "here":
        path, name = line.proof.strip("`").split("::")
        assert name in {node.name for node in ast.parse((ROOT / path).read_text()).body
                        if isinstance(node, ast.FunctionDef)}  # yapf: disable


def test_the_links_of_the_seed_lead_somewhere():
    links = re.findall(r"]\(([^)#]+)", PAGE.read_text())
    assert len(links) > 5 and [link for link in links if not (PAGE.parent / link).is_file()] == []
