"""What each rank gets of a batch; without training workers."""
from types import SimpleNamespace

import numpy as np
import pytest
import ray

from bench.driver_bytes import COST, make_samples
from reward_score.shaping import Shaping
from verl.trainer.ppo.rollouts import to_batch
from verl.trainer.ppo.shares import share_out
from verl.workers.mini_batches import POSITION, PROMPT


@pytest.mark.parametrize("balance", [True, False])
@pytest.mark.usefixtures("ray_cluster")
def test_every_row_reaches_one_rank_with_its_own_prompt(balance):
    samples = make_samples(48)
    batch, rows = to_batch(samples, Shaping()), [samples[start].row for start in (0, 16, 32)]
    loaded = []
    trainer = SimpleNamespace(world_size=4, load_batch=lambda *arguments: loaded.extend(arguments))
    order, metrics = share_out(batch, rows, trainer, COST, 3, balance)
    sent, prompts = loaded[0], ray.get(loaded[1])
    assert sent.batch[POSITION].tolist() == order.tolist() and sorted(order) == list(range(48))
    assert all(sorted(row // 16 for row in part) == [0] * 4 + [1] * 4 + [2] * 4 for part in np.split(order, 4))
    assert len(prompts) == 3 and prompts[sent.batch[PROMPT]].equals(batch.batch["prompts"][order])
    for name in ("responses", "response_mask", "rollout_log_probs"):
        assert sent.batch[name].equals(batch.batch[name][order])
    assert (metrics["global_seqlen/cost_imbalance"] < 1.1) == balance
    assert "prompts" not in sent.batch and not sent.non_tensor_batch
