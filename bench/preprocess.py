"""Rows per second of data preprocessing with a tokenizer filter: ours against a plain `datasets.map`, in turn.

    python -m bench.preprocess [ROWS]

Both read the same JSON lines, make the same rows, drop prompts beyond 128 tokens and write parquet. Each run is a
process of its own; peak memory is that of its whole process tree. Writes bench/preprocess.json.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "preprocess.json"
ROUNDS, MAX_TOKENS = 2, 128
WORDS = [
    "a", "train", "leaves", "the", "station", "at", "noon", "and", "travels", "km", "per", "hour", "how", "many",
    "apples", "does", "Anna", "have", "if", "she", "gives", "half", "of", "them", "to", "Ben", "find", "the", "sum",
    "of", "all", "integers", "such", "that", "is", "divisible", "by", "determine", "the", "value", "of", "where", "let",
    "be", "a", "polynomial", "with", "roots", "compute", "area", "triangle", "circle", "radius", "probability"
]

PLAIN = """
import sys
import datasets
from transformers import AutoTokenizer

source, tokenizer_path, target, longest = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)

def process(example, index):
    question = example["problem"]
    return {"data_source": "math__deepscaler_preview",
            "prompt": [{"role": "user", "content": question + " Please output the final answer within \\\\boxed{}."}],
            "ability": "math", "apply_chat_template": True,
            "reward_model": {"style": "rule", "ground_truth": example["answer"]},
            "extra_info": {"split": "train", "index": index, "original_question": question}}

def short(row):
    text = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"]) <= int(longest)

rows = datasets.load_dataset("json", data_files=source, split="train", cache_dir=target + ".cache")
rows = rows.map(process, with_indices=True, remove_columns=rows.column_names)
rows.filter(short).to_parquet(target)
"""


def write_inputs(folder: Path, rows: int) -> None:
    """`train.jsonl` with unlike questions of 10 to 120 words, and a byte-level BPE tokenizer trained on some."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    rng = random.Random(0)
    texts = []
    with (folder / "train.jsonl").open("w") as file:
        for number in range(rows):
            words = rng.choices(WORDS, k=int(min(120, 10 + rng.expovariate(1 / 25))))
            question = " ".join([*words, str(number), "+", str(rng.randint(1, 10**6)), "?"])
            file.write(json.dumps({"problem": question, "answer": str(number), "solution": ""}) + "\n")
            if number < 2000:
                texts.append(question)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|im_start|>", "<|im_end|>"]
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=4096, special_tokens=special, initial_alphabet=alphabet))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    fast.chat_template = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
    fast.save_pretrained(folder / "tokenizer")


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds and peak memory in GiB of a command with its children."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.25):
            peak[0] = max(peak[0], _memory(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = process.wait()
    seconds = time.perf_counter() - start
    ended.set()
    watcher.join()
    if status:
        raise RuntimeError(f"{' '.join(command)[:200]} ended with {status}")
    return seconds, peak[0] / 2**30


def _memory(pid: int) -> int:
    """Proportional set sizes: pages that processes share count once."""
    total = 0
    try:
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.Error:  # one of them has just ended; the next look counts
        return 0
    return total


def compare(rows: int) -> dict[str, object]:
    """Alternates all contenders over ROUNDS; -> medians, and ratios to ours."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, rows)
        contenders = {
            "ours": lambda target: [
                sys.executable, "-m", "data_preprocess", "run", "math/deepscaler_preview", "--input-file",
                str(folder / "train.jsonl"), "--tokenizer", str(folder / "tokenizer"), "--max-prompt-tokens",
                str(MAX_TOKENS), "--data-dir", target
            ],
            "datasets.map": lambda target: _plain(folder, target),
        }  # yapf: disable
        figures: dict[str, list[tuple[float, float]]] = {contender: [] for contender in contenders}
        kept = set()
        for round_ in range(ROUNDS):
            for contender, command in contenders.items():
                target = str(folder / f"{contender}-{round_}")
                figures[contender].append(measure(command(target)))
                files = list(Path(target).rglob("*.parquet")) if Path(target).is_dir() else [target]
                kept.add(pq.read_metadata(files[0]).num_rows)
    assert len(kept) == 1, f"the contenders keep different rows: {kept}"
    seconds = {contender: statistics.median(s for s, _ in runs) for contender, runs in figures.items()}
    return {
        "command": f"python -m bench.preprocess {rows}",
        "rows": rows,
        "kept": kept.pop(),
        "rows per second": {
            contender: round(rows / value) for contender, value in seconds.items()
        },
        "ours is faster by": {
            contender: round(value / seconds["ours"], 2) for contender, value in seconds.items()
        },
        "peak memory GiB": {
            contender: round(max(m for _, m in runs), 2) for contender, runs in figures.items()
        },
    }


def _plain(folder: Path, target: str) -> list[str]:
    inputs = [str(folder / "train.jsonl"), str(folder / "tokenizer"), target, str(MAX_TOKENS)]
    return [sys.executable, "-c", PLAIN, *inputs]


def main() -> int:
    """Writes and prints the result."""
    result = compare(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
