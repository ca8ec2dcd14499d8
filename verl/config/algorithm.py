"""Advantages: the `algorithm` keys."""
from dataclasses import dataclass

from verl.config.engine import KL_LOSSES
from verl.config.fields import group, key

ADV_ESTIMATORS = ("grpo",)


@dataclass(frozen=True)
class KLControlConfig:
    """KL in the reward; read only with `algorithm.use_kl_in_reward`."""
    kl_coef: float = key(0.001, "weight of the KL penalty in the reward; nothing reads it yet", at_least=0)


@dataclass(frozen=True)
class AlgoConfig:
    """From rewards to advantages."""
    adv_estimator: str = key("grpo", "advantage estimator", choices=ADV_ESTIMATORS, external=True)
    norm_adv_by_std_in_grpo: bool = key(True, "divide by the group's standard deviation; false: Dr. GRPO")
    use_kl_in_reward: bool = key(False, "subtract the KL to the reference from the reward")
    gamma: float = key(1.0, "discount per token; grpo does not use it", at_least=0, at_most=1)
    lam: float = key(1.0, "lambda of GAE; grpo does not use it", at_least=0, at_most=1)
    kl_penalty: str = key("kl", "KL estimator in the reward; nothing reads it yet", choices=KL_LOSSES)
    kl_ctrl: KLControlConfig = group(KLControlConfig)
