from verl.algorithms import advantage, aggregation, kl, policy_loss
from verl.trainer.ppo import core_algos


def test_the_algorithms_stand_under_verls_names():
    assert core_algos.agg_loss is aggregation.agg_loss
    assert core_algos.kl_penalty is kl.kl_penalty
    assert core_algos.get_adv_estimator_fn("grpo") is advantage.compute_grpo_outcome_advantage
    assert core_algos.POLICY_LOSS_REGISTRY is policy_loss.POLICY_LOSS_REGISTRY
    assert all(hasattr(core_algos, name) for name in core_algos.__all__)
