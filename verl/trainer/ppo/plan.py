"""Numbers that follow from the config and the data, worked out once before the run."""
import dataclasses
import math
from dataclasses import dataclass

from verl.algorithms.advantage import get_adv_estimator_fn
from verl.algorithms.policy_loss import get_policy_loss_fn
from verl.config.engine import ActorConfig, OptimConfig
from verl.config.ppo import PPOConfig
from verl.config.rollout import RolloutConfig
from verl.trainer.cluster import resolve_device
from verl.utils.dtypes import to_dtype
from verl.workers.engine.base import MicroBatchBounds
from verl.workers.rollout.base import Sampling
from verl.workers.rollout.replica import engine_name

PROBE_TOKENS = 16


@dataclass(frozen=True)
class StepPlan:
    """What every step does. `on_policy`: one update per batch, so its own forward pass is the old log-prob."""
    total_steps: int
    total_epochs: int
    n: int
    val_n: int
    mini_batches: int
    on_policy: bool
    sampling: Sampling
    val_sampling: Sampling
    probe_sampling: Sampling
    probe_tolerance: float
    update_bounds: MicroBatchBounds
    old_log_prob_bounds: MicroBatchBounds
    ref_bounds: MicroBatchBounds
    optim: OptimConfig
    unit_size: int | None
    replica_capacity: int


def resolve(config: PPOConfig) -> PPOConfig:
    """`config` with the device and the rollout engine that `auto` stands for here. ValueError for one that is not here,
    or for a loss or estimator that nobody registered.
    """
    roles = config.actor_rollout_ref
    get_adv_estimator_fn(config.algorithm.adv_estimator)
    get_policy_loss_fn(roles.actor.policy_loss.loss_mode)
    rollout = dataclasses.replace(roles.rollout, name=engine_name(roles.rollout))
    trainer = dataclasses.replace(config.trainer, device=resolve_device(config.trainer.device))
    if rollout.transport == "ipc" and (trainer.device, rollout.name) != ("cuda", "vllm"):
        raise ValueError("actor_rollout_ref.rollout.transport=ipc joins CUDA devices with vllm, here it is "
                         f"{trainer.device} with {rollout.name}; set it to auto")
    return dataclasses.replace(config, trainer=trainer, actor_rollout_ref=dataclasses.replace(roles, rollout=rollout))


def make_plan(config: PPOConfig, steps_per_epoch: int, stop_ids: tuple[int, ...]) -> StepPlan:
    """`config` is resolved; `stop_ids` end an answer."""
    actor, ref, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.ref, config.actor_rollout_ref.rollout
    total_steps = config.trainer.total_training_steps or steps_per_epoch * config.trainer.total_epochs
    mini_batches = config.data.train_batch_size // actor.ppo_mini_batch_size
    updates = total_steps * mini_batches * actor.ppo_epochs
    optim = actor.optim if actor.optim.total_training_steps > 0 else dataclasses.replace(actor.optim,
                                                                                         total_training_steps=updates)
    length = config.data.max_response_length
    sampling = Sampling(rollout.temperature, length, rollout.top_k, rollout.top_p, rollout.min_new_tokens,
                        () if rollout.ignore_eos else stop_ids)
    val = rollout.val_kwargs
    val_sampling = Sampling(val.temperature if val.do_sample else 0.0, length, val.top_k, val.top_p, stop_ids=stop_ids)
    return StepPlan(
        total_steps=total_steps,
        total_epochs=math.ceil(total_steps / steps_per_epoch),
        n=rollout.n,
        val_n=val.n,
        mini_batches=mini_batches,
        on_policy=mini_batches * actor.ppo_epochs == 1,
        sampling=sampling,
        val_sampling=val_sampling,
        probe_sampling=Sampling(0.0, min(PROBE_TOKENS, length)),
        probe_tolerance=_tolerance(rollout, config.trainer.device),
        update_bounds=_bounds(actor, None, None, actor.ppo_micro_batch_size_per_gpu),
        old_log_prob_bounds=_bounds(actor, rollout.log_prob_use_dynamic_bsz, rollout.log_prob_max_token_len_per_gpu,
                                    rollout.log_prob_micro_batch_size_per_gpu),
        ref_bounds=_bounds(actor, ref.log_prob_use_dynamic_bsz, ref.log_prob_max_token_len_per_gpu,
                           ref.log_prob_micro_batch_size_per_gpu),
        optim=optim,
        unit_size=rollout.batch_size if rollout.name == "hf" else None,
        replica_capacity=rollout.batch_size if rollout.name == "hf" else rollout.max_num_seqs,
    )


def _bounds(actor: ActorConfig, dynamic: bool | None, max_tokens: int | None, size: int | None) -> MicroBatchBounds:
    """Keys of one forward pass; what is not set is as for the actor's update."""
    if actor.use_dynamic_bsz if dynamic is None else dynamic:
        return MicroBatchBounds(max_tokens=max_tokens or actor.ppo_max_token_len_per_gpu, size=None)
    return MicroBatchBounds(max_tokens=None, size=size or actor.ppo_micro_batch_size_per_gpu)


def _tolerance(rollout: RolloutConfig, device: str) -> float:
    exact = to_dtype(rollout.dtype, device).itemsize >= 4
    return rollout.sync_probe_tolerance or (1e-3 if exact else 0.2)
