"""What the quick start shows at its end: accuracy before and after, sample answers, the reward curve, result.json."""
import json
from pathlib import Path
from typing import Any

import matplotlib
import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.table import Table

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

ACCURACY = "val-core/reasoning_gym/acc/mean@1"
SAMPLES = 3


def write_report(out: Path, run: Path, seconds: dict[str, float]) -> None:
    """Reads the run's metrics and validation answers, prints the summary, writes result.json and reward.png under
    `out`.
    """
    history = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [entry for entry in history if "critic/score/mean" in entry]
    validations = {entry["step"]: entry[ACCURACY] for entry in history if ACCURACY in entry}
    first, last = min(validations), max(validations)
    result = {
        "accuracy_before":
            validations[first],
        "accuracy_after":
            validations[last],
        **{
            name: round(value, 1) for name, value in seconds.items()
        },
        "engine":
            yaml.safe_load((run / "config.yaml").read_text())["actor_rollout_ref"]["rollout"]["name"],
        "tokens_per_second":
            round(sum(s["perf/total_num_tokens"] for s in steps) / sum(s["timing_s/step"] for s in steps)),
    }
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    _plot(out / "reward.png", steps, validations)
    _print(out, run, result, run / "validation" / f"step_{first}.parquet", run / "validation" / f"step_{last}.parquet")


def _plot(path: Path, steps: list[dict[str, Any]], validations: dict[int, float]) -> None:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot([s["step"] for s in steps], [s["critic/score/mean"] for s in steps], label="training reward (sampled)")
    axes.plot(list(validations), list(validations.values()), "o-", label="held-out accuracy (greedy)")
    axes.set(xlabel="step",
             ylabel="reward, accuracy",
             ylim=(0, 1.02),
             title="Quick start: GRPO on spelling words backward")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _print(out: Path, run: Path, result: dict[str, Any], before: Path, after: Path) -> None:
    console = Console()
    table = Table(title="Three of the held-out problems")
    for column in ("problem", "truth", "before", "after"):
        table.add_column(column)
    old, new = (pq.read_table(path).slice(0, SAMPLES).to_pylist() for path in (before, after))
    for a, b in zip(old, new, strict=True):
        table.add_row(a["prompt"].split("<|user|>")[-1].split("<|")[0], a["ground_truth"], a["response"], b["response"])
    console.print()
    console.print(table)
    before_after = f"{result['accuracy_before']:.3f} before, {result['accuracy_after']:.3f} after"
    times = ", ".join(f"{n.removeprefix('seconds_')} {result[n]:.0f} s" for n in result if n.startswith("seconds_"))
    console.print(f"held-out accuracy: [bold]{before_after}[/bold] reinforcement learning ({result['engine']}, "
                  f"{result['tokens_per_second']:,} tokens/s; {times})", soft_wrap=True)  # yapf: disable
    console.print("This shows that the machinery learns: the warm start can spell backward but often stops a letter "
                  "short, and the reward sharpens what it already has. It is no claim about reasoning.")
    console.print(f"\nresult   {out / 'result.json'}\ncurve    {out / 'reward.png'}\nmetrics  {run / 'metrics.jsonl'}\n"
                  f"answers  {run / 'rollouts'}/step_N.parquet, {run / 'validation'}/step_N.parquet\n"
                  f"model    {run}/global_step_*/huggingface", soft_wrap=True)  # yapf: disable
    console.print("\nNext: python -m verl.trainer.main_ppo --show-args      (activate .venv first)\n"
                  "      bash scripts/quickstart.sh actor_rollout_ref.rollout.name=vllm\n"
                  "      bash scripts/quickstart.sh trainer.n_gpus_per_node=2\n"
                  "      your own data and reward: README, section Train", soft_wrap=True)  # yapf: disable
