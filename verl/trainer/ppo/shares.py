"""Which training worker holds which rows of a step, and how they get there: once, each to its own."""
import numpy as np
import ray

from verl.protocol import DataProto
from verl.single_controller import WorkerGroup
from verl.utils.dataset.rl_dataset import PromptRow
from verl.utils.flops_counter import ModelCost
from verl.utils.ragged import Ragged
from verl.utils.seqlen_balancing import cost_imbalance, log_seqlen_unbalance, rank_shares
from verl.workers.mini_batches import POSITION, PROMPT

TRAIN_COLUMNS = [PROMPT, "responses", "response_mask", "rollout_log_probs", "rewards", POSITION]


def share_out(batch: DataProto, rows: list[PromptRow], trainer: WorkerGroup, cost: ModelCost, mini_batches: int,
              balance: bool) -> tuple[np.ndarray, dict[str, float]]:
    """Gives each rank its equal part of every mini-batch (see `rank_shares`).

    Args:
        batch: the samples of `rows`, equally many of each, in their order.

    Returns:
        order: rows of `batch` as the ranks hold them, one rank after the other.
        metrics: how even the ranks' parts are, global_seqlen/*.
    """
    prompts, responses = batch.batch["prompts"].lengths, batch.batch["responses"].lengths
    costs = cost.training(prompts, responses)
    shares = rank_shares(costs, trainer.world_size, mini_batches, balance)
    order, places = np.concatenate(shares), np.arange(len(batch))
    answered = {POSITION: places, PROMPT: places * len(rows) // len(batch)}
    columns = DataProto(batch.batch | answered).select(TRAIN_COLUMNS)[order]
    trainer.load_batch(columns, ray.put(Ragged.from_rows([row.prompt_ids for row in rows])))
    metrics = log_seqlen_unbalance(prompts + responses, shares)
    return order, metrics | {"global_seqlen/cost_imbalance": cost_imbalance(costs, shares)}
