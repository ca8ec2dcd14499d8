"""A small run, dataset and wandb table whose model text means harm."""
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from verl.utils.rollout_dump import write_rollouts

SCRIPT = "<script>document.title = 'pwned'</script><img src=x onerror=\"document.title='pwned'\">"
FENCES = "```python\nprint('a')\n``\n````\n~~~\nstill code <b>bold</b>"
LINKS = "[click](javascript:alert(1)) ![i](http://127.0.0.1:9/i.png) :red[alarm] $x$ https://example.com :smile:"
MATH = "First \\(x^2\\) costs $5 and $6.\n\\[\\frac{1}{2}\\]\nThen $y = 3$, \\(\\href{javascript:alert(1)}{z}\\)."
HUGE = "0123456789abcdef" * (1 << 16) + "the very end"  # 1 MiB
ANSWERS = [MATH, SCRIPT + "\n" + FENCES, LINKS, HUGE, FENCES + "\n```\nafter " + SCRIPT, "plain \\boxed{4}"]
STATUSES = ["ok", "ok", "timeout", "ok", "crash", "ok"]


def rollout_rows(step: int, prompts: int = 3) -> list[dict]:
    """One prompt after the other with an answer per item of ANSWERS."""
    return [{
        "step": step, "uid": str(uid), "sample_index": i, "data_source": ("math", "code")[uid % 2],
        "prompt": f"Prompt {uid}: what is 2+2? {SCRIPT}", "response": f"step {step} answer {i}\n{text}",
        "ground_truth": "4", "score": float(i == 5) or (0.25 if i == 0 else 0.0), "acc": float(i == 5),
        "status": STATUSES[i], "response_length": len(text) // 4 + uid,
        "finish_reason": "length" if text is HUGE else "stop", "extra": {"pred": "4", "note": SCRIPT}
    } for uid in range(prompts) for i, text in enumerate(ANSWERS)]  # yapf: disable


def make_run(folder: Path, steps: int = 4, prompts: int = 3) -> Path:
    """metrics.jsonl, config.yaml, rollouts of every step, validation of steps 2 and 4."""
    folder.mkdir(parents=True)
    times = {"timing_s/step": 10.0, "timing_s/gen": 6.0, "timing_s/update_actor": 3.0}
    lines = [{"step": step, "critic/score/mean": step / 10, "response_length/mean": 100.0 + step, **times, "note": "x",
              "actor/entropy": None if step == 2 else 1.0} for step in range(1, steps + 1)]  # yapf: disable
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 9, "cri')
    (folder / "config.yaml").write_text("trainer:\n  rollout_data_dir: null\n  project_name: <script>\n")
    for step in range(1, steps + 1):
        write_rollouts(folder / "rollouts" / f"step_{step}.parquet", rollout_rows(step, prompts))
        if step % 2 == 0:
            write_rollouts(folder / "validation" / f"step_{step}.parquet", rollout_rows(step, prompts))
    return folder


def make_table(path: Path) -> Path:
    """Two steps of three samples, two of which are of one prompt."""
    columns = ["step"] + [f"{name}_{i}" for i in (1, 2, 3) for name in ("input", "output", "score")]
    data = [[step, "Q one", MATH, 1.0, "Q one", SCRIPT + "\ud800", 0.0, "Q two", HUGE, None] for step in (10, 20)]
    path.write_text(json.dumps({"columns": columns, "data": data}))
    return path


def make_dataset(path: Path, rows: int = 130, row_group: int = 50) -> Path:
    """Rows in the schema of training; every third is `code`, and prompts grow with their number."""
    table = pa.Table.from_pylist([{
        "data_source": "code" if i % 3 == 0 else "math",
        "prompt": [{"role": "system", "content": "be brief"},
                   {"role": "user", "content": f"Question {i} {SCRIPT}" + "x" * i}],
        "ability": "math", "apply_chat_template": True,
        "reward_model": {"style": "rule", "ground_truth": f"truth-{i}"},
        "extra_info": {"index": i, "split": "train"}
    } for i in range(rows)])  # yapf: disable
    pq.write_table(table, path, row_group_size=row_group)
    return path
