"""sbatch, squeue, sacct and scancel for tests of single-node jobs: a job really runs, as a process of this machine.

    FAKE_SLURM_JOBS   folder of the state: a folder per job
    FAKE_SLURM_NODES  jobs that run at once (4); the others are pending
    FAKE_SLURM_FAIL   share of jobs that get FAKE_SLURM_DIE_AFTER, the number of answers after which the tests' server
                      kills its whole job, drawn by FAKE_SLURM_SEED and the job's number
"""
import os
from pathlib import Path

HERE = Path(__file__).parent


def environment(state: Path, nodes: int = 4, fail: float = 0.0, seed: int = 0) -> dict[str, str]:
    """What makes the fakes be found first, and what they read."""
    return os.environ | {
        "PATH": f"{HERE}:{os.environ['PATH']}",
        "FAKE_SLURM_JOBS": str(state),
        "FAKE_SLURM_NODES": str(nodes),
        "FAKE_SLURM_FAIL": str(fail),
        "FAKE_SLURM_SEED": str(seed)
    }
