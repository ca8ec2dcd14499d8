"""What is asked of SLURM: submit, what runs, how something ended."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 120.0


class SlurmError(RuntimeError):
    """A SLURM command failed; it may work at the next try."""


@dataclass(frozen=True)
class LiveJob:
    """A job that waits or runs; `state` as squeue says it."""
    id: str
    name: str
    state: str


class Slurm:
    """The commands on PATH."""

    def submit(self, script: Path, options: list[str]) -> str:
        """-> the job's id."""
        text = _run(["sbatch", "--parsable", *options, str(script)])
        found = re.match(r"(\d+)", text.strip())
        if found is None:
            raise SlurmError(f"sbatch said {text.strip()!r}, which is no job id")
        return found[1]

    def live(self) -> dict[str, LiveJob]:
        """This user's jobs that have not ended, by id."""
        lines = _run(["squeue", "--me", "--noheader", "--format=%i|%T|%j"]).splitlines()
        jobs = [LiveJob(fields[0].strip(), fields[2].strip(), fields[1].strip())
                for line in lines if len(fields := line.split("|", 2)) == 3]  # yapf: disable
        return {job.id: job for job in jobs}

    def ending(self, job: str) -> str:
        """How a job ended, such as `TIMEOUT 0:0`; "ended" where accounting does not say."""
        try:
            lines = _run(["sacct", "-j", job, "-X", "-n", "-P", "-o", "State,ExitCode"]).split()
        except SlurmError:
            return "ended"
        return lines[-1].replace("|", " ") if lines else "ended"


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT)
    except FileNotFoundError:
        raise ValueError(f"there is no {command[0]} on PATH: run this on a login node of a SLURM cluster, or give "
                         "--local to generate on this machine") from None
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"{command[0]} did not answer within {TIMEOUT:g} s") from error
    except subprocess.CalledProcessError as error:
        raise SlurmError(f"{' '.join(command)}: {error.stderr.strip()}") from error
    return done.stdout
