"""Advantages: the `algorithm` keys."""
from dataclasses import dataclass

from verl.config.engine import KL_LOSSES
from verl.config.fields import group, key

ADV_ESTIMATORS = ("grpo", "gae")
KL_CONTROLLERS = ("fixed", "adaptive")


@dataclass(frozen=True)
class KLControlConfig:
    """KL in the reward; read only with `algorithm.use_kl_in_reward`."""
    type: str = key("fixed", "adaptive: the weight follows the KL", choices=KL_CONTROLLERS)
    kl_coef: float = key(0.001, "weight of the KL penalty in the reward (adaptive: the first)", at_least=0)
    horizon: int = key(10000, "adaptive: samples over which the weight changes by at most 20 %", at_least=1)
    target_kl: float = key(0.1, "adaptive: the KL to aim for, in nats per token", above=0)


@dataclass(frozen=True)
class AlgoConfig:
    """From rewards to advantages."""
    adv_estimator: str = key("grpo", "advantage estimator; gae trains a critic", choices=ADV_ESTIMATORS, external=True)
    norm_adv_by_std_in_grpo: bool = key(True, "divide by the group's standard deviation; false: Dr. GRPO")
    use_kl_in_reward: bool = key(False, "subtract the KL to the reference from the reward")
    gamma: float = key(1.0, "discount per token; grpo does not use it", at_least=0, at_most=1)
    lam: float = key(1.0, "lambda of GAE; grpo does not use it", at_least=0, at_most=1)
    kl_penalty: str = key("kl", "KL estimator in the reward", choices=KL_LOSSES)
    kl_ctrl: KLControlConfig = group(KLControlConfig)
