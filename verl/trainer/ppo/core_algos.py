"""The algorithms under the import path that verl's users know; they live in `verl.algorithms`."""
from verl.algorithms.advantage import (
    ADV_ESTIMATOR_REGISTRY,
    AdvantageEstimator,
    compute_gae_advantage_return,
    compute_grpo_outcome_advantage,
    get_adv_estimator_fn,
    register_adv_est,
)
from verl.algorithms.aggregation import agg_loss
from verl.algorithms.entropy import compute_entropy_loss
from verl.algorithms.kl import kl_penalty
from verl.algorithms.kl_control import AdaptiveKLController, FixedKLController, get_kl_controller
from verl.algorithms.policy_loss import (
    POLICY_LOSS_REGISTRY,
    compute_policy_loss_vanilla,
    get_policy_loss_fn,
    register_policy_loss,
)
from verl.algorithms.value_loss import compute_value_loss

__all__ = [
    "ADV_ESTIMATOR_REGISTRY", "POLICY_LOSS_REGISTRY", "AdaptiveKLController", "AdvantageEstimator", "FixedKLController",
    "agg_loss", "compute_entropy_loss", "compute_gae_advantage_return", "compute_grpo_outcome_advantage",
    "compute_policy_loss_vanilla", "compute_value_loss", "get_adv_estimator_fn", "get_kl_controller",
    "get_policy_loss_fn", "kl_penalty", "register_adv_est", "register_policy_loss"
]
