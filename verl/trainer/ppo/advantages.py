"""Advantages of a scored batch: of outcomes on the driver, one number per sample; of a critic's values on the ranks."""
import numpy as np
import torch

from verl.algorithms.advantage import get_adv_estimator_fn
from verl.algorithms.kl_control import get_kl_controller
from verl.config.algorithm import AlgoConfig
from verl.config.ppo import PPOConfig
from verl.protocol import DataProto
from verl.single_controller import WorkerGroup


class Advantages:
    """Gives the rows that the ranks hold their advantages; KL in the reward is charged on the way."""

    def __init__(self, config: PPOConfig, trainer: WorkerGroup):
        self.algorithm, self.uses_critic, self.trainer = config.algorithm, config.uses_critic, trainer
        self.kl = get_kl_controller(config.algorithm.kl_ctrl) if config.algorithm.use_kl_in_reward else None

    def add(self, batch: DataProto, order: np.ndarray) -> dict[str, float]:
        """`batch` as scored, `order` its rows as the ranks hold them: the column `advantages` arrives there."""
        kl_coef = self.kl.value if self.kl else 0.0
        metrics = self._charge_kl(batch, order) if self.kl else {}
        if self.uses_critic:
            algorithm = self.algorithm
            return metrics | self.trainer.value_advantages(algorithm.adv_estimator, algorithm.gamma, algorithm.lam,
                                                           kl_coef)[0]
        batch.batch["advantages"] = outcome_advantages(batch, self.algorithm)
        self.trainer.add_columns(batch.select(["advantages"], [])[order])
        return metrics

    def _charge_kl(self, batch: DataProto, order: np.ndarray) -> dict[str, float]:
        """Adds `token_level_rewards`, rewards less the KL [rows]. The controller sees the mean over known samples of
        their mean over tokens.
        """
        coef, kl = self.kl.value, np.empty(len(batch))
        kl[order] = np.concatenate(self.trainer.reward_kl(self.algorithm.kl_penalty))
        batch.batch["token_level_rewards"] = batch.batch["rewards"] - coef * kl
        tokens = batch.batch["response_mask"].sum()
        known = tokens > 0
        if not known.any():
            return {}
        current = float((kl[known] / tokens[known]).mean())
        self.kl.update(current, int(known.sum()))
        return {"actor/reward_kl_penalty": current, "actor/reward_kl_penalty_coeff": coef}

    def state_dict(self) -> dict[str, float]:
        """What a resumed run goes on with."""
        return self.kl.state_dict() if self.kl else {}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Of a run without KL in the reward: nothing."""
        if self.kl:
            self.kl.load_state_dict(state)


def outcome_advantages(batch: DataProto, algorithm: AlgoConfig) -> np.ndarray:
    """float32 [rows], from the column `token_level_rewards`, else `rewards`: the estimator sees them as responses of
    one token.

    A sample of which nothing is known is left out of its group.
    """
    estimator = get_adv_estimator_fn(algorithm.adv_estimator)
    rewards = torch.from_numpy(batch.batch.get("token_level_rewards", batch.batch["rewards"]))[:, None]
    samples = batch.non_tensor_batch["sample"]
    groups = [str(s.row.index) if s.known else f"unknown {i}" for i, s in enumerate(samples)]
    advantages, _ = estimator(token_level_rewards=rewards,
                              response_mask=torch.ones_like(rewards),
                              index=np.array(groups, dtype=object),
                              norm_adv_by_std_in_grpo=algorithm.norm_adv_by_std_in_grpo,
                              config=algorithm)
    return advantages[:, 0].numpy().astype(np.float32)
