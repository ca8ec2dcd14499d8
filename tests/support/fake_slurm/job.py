"""A launch template's job on the fake cluster: the quick start's model, untrained, on a CPU of each of two nodes."""
import json
import subprocess
import time
from pathlib import Path

from tests.support.fake_slurm.cluster import ROOT, FakeCluster

CPU_TEMPLATE = "cpu-fsdp-tiny-grpo"
LIMIT = 240  # s; a start and a few steps take 50 s on two cores of which nobody else wants anything
SMALL = (
    "trainer.test_freq=-1", "trainer.val_before_train=False", "trainer.save_freq=1", "data.train_batch_size=8",
    "actor_rollout_ref.actor.ppo_mini_batch_size=8", "reward_model.num_workers=1"
)  # yapf: disable
ON_CPUS = (  # what a template for GPUs needs besides
    "trainer.nnodes=2", "trainer.n_gpus_per_node=1", "trainer.device=cpu", "data.max_prompt_length=40",
    "data.max_response_length=7", "actor_rollout_ref.rollout.name=hf",
    "actor_rollout_ref.rollout.tensor_model_parallel_size=1"
)  # yapf: disable


class Job:
    """A submission on two nodes of `cluster`, whose folder has the inputs below in/. `name` is of its logs.

    Jobs with one `run` resume each other. `template` is a name in scripts/templates.
    """

    def __init__(self, cluster: FakeCluster, name: str, *overrides: str, template: str = CPU_TEMPLATE,
                 run: str = "run", **env: str):  # yapf: disable
        folder = cluster.folder
        self.log, self.logs, self.run = folder / f"{name}.log", folder / f"{name}-logs", folder / run
        inputs = {"BASE_MODEL": f"{folder}/in/model", "DATA_DIR": f"{folder}/in", "LOG_DIR": str(self.logs)}
        arguments = [*SMALL, f"trainer.default_local_dir={self.run}"]
        if template != CPU_TEMPLATE:
            arguments += ON_CPUS
            inputs |= {"TRAIN_FILES": f"{folder}/in/train.parquet", "VAL_FILES": f"{folder}/in/held_out.parquet",
                       "GPUS_PER_NODE": "0", "CONTAINER": "none", "LOGGER": "[console]"}  # yapf: disable
        if not template.endswith("-ppo"):
            arguments += ["actor_rollout_ref.rollout.n=4"]
        command = ["sbatch", "--nodes=2", "--cpus-per-task=2", "--wait", f"--output={self.log}",
                   f"scripts/templates/{template}.sh", *arguments, *overrides]  # yapf: disable
        self.process = subprocess.Popen(command, cwd=ROOT, env=cluster.env | inputs | env, stdout=subprocess.DEVNULL)

    def wait(self, limit: float = LIMIT) -> int:
        """The job's exit code. AssertionError with what it said if it takes more than `limit` seconds."""
        try:
            return self.process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the job has not ended within {limit} s:\n{self.output}") from None

    def wait_for(self, path: Path) -> None:
        """Until the job has made a file."""
        deadline = time.monotonic() + LIMIT
        while not path.exists():
            assert self.process.poll() is None and time.monotonic() < deadline, self.output
            time.sleep(0.1)

    @property
    def output(self) -> str:
        """Its log and those of its nodes."""
        return self.log.read_text() + "".join(f"\n{p.name}: {p.read_text()}" for p in self.logs.glob("*.log"))

    @property
    def last_step(self) -> int:
        """Of the last complete checkpoint."""
        return int((self.run / "latest_checkpointed_iteration.txt").read_text())

    @property
    def steps(self) -> list[int]:
        """Those of its metrics."""
        return [json.loads(line)["step"] for line in (self.run / "metrics.jsonl").read_text().splitlines()]
