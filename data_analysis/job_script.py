"""The job of one split: starts a server on its node, asks it everything that is not answered yet, stops it."""

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path

from data_analysis.layout import RunFolder

ENGINES = ("sglang", "vllm")
REPO = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class JobSettings:
    """What all jobs of a run share.

    Attributes:
        gpus: of a node; 0: none is asked for.
        width: GPUs that share one copy of the model.
        server_args: more arguments for the server.
        server_command: instead of the engine's; a shell command that may use $PORT and $MODEL.
        slurm: sbatch options, e.g. "--partition=main --time=24:00:00".
    """
    model: str
    n: int
    seed: int
    python: str
    engine: str = "sglang"
    gpus: int = 8
    width: int = 1
    concurrency: int = 512
    start_timeout: float = 1800.0
    server_args: str = ""
    server_command: str = ""
    slurm: str = ""


def job_name(run: RunFolder, i: int) -> str:
    """Names split and run: by it jobs are recognised, whoever submitted them."""
    return f"gen-{hashlib.sha256(str(run.path.resolve()).encode()).hexdigest()[:6]}-{i}"


def job_script(run: RunFolder, i: int, settings: JobSettings) -> str:
    """The text of node_<i>_job.sh."""
    quote = lambda value: shlex.quote(str(value))
    path = run.path.resolve()
    options = [f"--job-name={job_name(run, i)}", "--nodes=1", "--ntasks=1", f"--output={path}/logs/split_{i}-%j.out"]
    options += [f"--gres=gpu:{settings.gpus}"] if settings.gpus else []
    options += shlex.split(settings.slurm)
    ask = [
        "-m", "data_analysis", "generate", "--data",
        run.data.path.resolve(), "--split", i, "--n", settings.n, "--seed", settings.seed, "--concurrency",
        settings.concurrency, "--start-timeout", settings.start_timeout
    ]
    return f"""#!/usr/bin/env bash
{chr(10).join(f"#SBATCH {quote(option)}" for option in options)}
# Submit it by hand as it is (sbatch THIS_FILE): it goes on where the last one ended. Add its id to sgl_job_ids.txt.
set -euo pipefail
cd {quote(REPO)}
export PYTHONPATH={quote(REPO)}${{PYTHONPATH:+:$PYTHONPATH}}
PYTHON={quote(settings.python)}
MODEL={quote(settings.model)}
PORT=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
LOG={quote(f"{path}/logs/server_{i}-")}${{SLURM_JOB_ID:-$$}}.log
export PORT MODEL

{_server(settings)} > "$LOG" 2>&1 &
SERVER=$!
stop_server() {{
  kill "$SERVER" 2> /dev/null || return 0
  for _ in {{1..300}}; do kill -0 "$SERVER" 2> /dev/null || return 0; sleep 0.1; done
  kill -9 "$SERVER"
}}
trap stop_server EXIT
trap 'exit 143' TERM INT

"$PYTHON" {' '.join(quote(word) for word in ask)} --model "$MODEL" --url "http://127.0.0.1:$PORT" \\
    --server-pid "$SERVER" ||
  {{ echo "split {i} is not complete; the server's log is $LOG" >&2; exit 1; }}
"""


def _server(settings: JobSettings) -> str:
    if settings.server_command:
        return settings.server_command
    copies = max(1, settings.gpus // settings.width)
    if settings.engine == "sglang":
        words = ['"$PYTHON" -m sglang.launch_server --model-path "$MODEL" --host 127.0.0.1 --port "$PORT"']
        sizes = (("--tp-size", settings.width), ("--dp-size", copies))
    else:
        words = ['"$PYTHON" -m vllm.entrypoints.openai.api_server --model "$MODEL" --served-model-name "$MODEL"',
                 '--host 127.0.0.1 --port "$PORT"']  # yapf: disable
        sizes = (("--tensor-parallel-size", settings.width), ("--data-parallel-size", copies))
    words += [f"{flag} {size}" for flag, size in sizes if size > 1]
    return " ".join([*words, settings.server_args]).strip()
