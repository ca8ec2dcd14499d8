"""Advantages of a scored batch, on the driver: an outcome's advantage is one number per sample."""
import numpy as np
import torch

from verl.algorithms.advantage import get_adv_estimator_fn
from verl.config.algorithm import AlgoConfig
from verl.protocol import DataProto


def outcome_advantages(batch: DataProto, algorithm: AlgoConfig) -> np.ndarray:
    """float32 [rows], from the column `rewards`: the estimator sees them as responses of one token.

    A sample of which nothing is known is left out of its group.
    """
    estimator = get_adv_estimator_fn(algorithm.adv_estimator)
    rewards = torch.from_numpy(batch.batch["rewards"])[:, None]
    samples = batch.non_tensor_batch["sample"]
    groups = [str(s.row.index) if s.known else f"unknown {i}" for i, s in enumerate(samples)]
    advantages, _ = estimator(token_level_rewards=rewards,
                              response_mask=torch.ones_like(rewards),
                              index=np.array(groups, dtype=object),
                              norm_adv_by_std_in_grpo=algorithm.norm_adv_by_std_in_grpo,
                              config=algorithm)
    return advantages[:, 0].numpy().astype(np.float32)
