"""What is kept of a scored batch: rows for people, figures for validation."""
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from verl.protocol import DataProto
from verl.trainer.ppo.metric_utils import process_validation_metrics
from verl.trainer.ppo.rollouts import Sample
from verl.utils.rollout_dump import write_rollouts


def dump(path: Path, step: int, batch: DataProto) -> None:
    """Writes the samples of `batch` as parquet, one row each."""
    seen: dict[str, int] = defaultdict(int)
    rows = []
    for sample in batch.non_tensor_batch["sample"]:
        uid = str(sample.row.index)
        rows.append(_dump_row(sample, step, uid, seen[uid]))
        seen[uid] += 1
    write_rollouts(path, rows)


def _dump_row(sample: Sample, step: int, uid: str, index: int) -> dict[str, Any]:
    row, completion, reward = sample.row, sample.completion, sample.reward
    return {
        "step": step,
        "uid": uid,
        "sample_index": index,
        "data_source": row.data_source,
        "prompt": row.prompt_text,
        "response": sample.text,
        "ground_truth": row.ground_truth,
        "score": reward.score,
        "acc": reward.acc,
        "status": reward.status,
        "response_length": len(completion.token_ids),
        "finish_reason": completion.finish_reason,
        "extra": reward.extra | ({
            "error": reward.error
        } if reward.error else {}),
    }


def generations(batch: DataProto, count: int) -> list[tuple[str, str, float | None]]:
    """(prompt, answer, score) of up to `count` samples, drawn alike in every validation; a score that is not known is
    None."""
    samples = batch.non_tensor_batch["sample"]
    chosen = np.sort(np.random.default_rng(0).permutation(len(samples))[:count])
    return [(sample.row.prompt_text, sample.text, sample.reward.score if sample.known else None)
            for sample in samples[chosen]]  # yapf: disable


def validation_metrics(batch: DataProto) -> dict[str, float]:
    """verl's val-core and val-aux figures of the rewards; a key that a sample's reward lacks is None
    there, and so is all of a sample of which nothing is known."""
    samples = batch.non_tensor_batch["sample"]
    rewards = [sample.reward for sample in samples]
    names = sorted({name for reward in rewards for name in reward.extra})
    infos = {name: [reward.extra.get(name) for reward in rewards] for name in names}
    for name, of in (("acc", "acc"), ("reward", "score")):
        infos[name] = [getattr(sample.reward, of) if sample.known else None for sample in samples]
    return process_validation_metrics(batch.non_tensor_batch["data_source"], batch.non_tensor_batch["uid"], infos)
