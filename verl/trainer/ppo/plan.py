"""Numbers that follow from the config and the data, worked out once before the run."""
import dataclasses
import math
from dataclasses import dataclass

from verl.algorithms.advantage import get_adv_estimator_fn, needs_values
from verl.algorithms.policy_loss import get_policy_loss_fn
from verl.config.critic import CriticConfig
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
class CriticPlan:
    """What every step does with the critic."""
    mini_batches: int
    update_bounds: MicroBatchBounds
    value_bounds: MicroBatchBounds
    optim: OptimConfig


@dataclass(frozen=True)
class StepPlan:
    """What every step does. `on_policy`: one update per batch and no other use of the old log-probs, so that the
    update's own forward pass gives them. `critic` None: there is none.
    """
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
    critic: CriticPlan | None
    unit_size: int | None
    replica_capacity: int


def resolve(config: PPOConfig) -> PPOConfig:
    """`config` with the device and the rollout engine that `auto` stands for here, and what the critic takes from the
    actor. ValueError for one that is not here, or for a loss or estimator that nobody registered.
    """
    roles, name = config.actor_rollout_ref, config.algorithm.adv_estimator
    if needs_values(get_adv_estimator_fn(name)) != config.uses_critic:
        takes = "takes no values" if config.uses_critic else "takes the values of a critic"
        raise ValueError(f"algorithm.adv_estimator={name} {takes}; set critic.enable={not config.uses_critic}")
    get_policy_loss_fn(roles.actor.policy_loss.loss_mode)
    rollout = dataclasses.replace(roles.rollout, name=engine_name(roles.rollout))
    trainer = dataclasses.replace(config.trainer, device=resolve_device(config.trainer.device))
    if rollout.transport == "ipc" and (trainer.device, rollout.name) != ("cuda", "vllm"):
        raise ValueError("actor_rollout_ref.rollout.transport=ipc joins CUDA devices with vllm, here it is "
                         f"{trainer.device} with {rollout.name}; set it to auto")
    return dataclasses.replace(config,
                               trainer=trainer,
                               actor_rollout_ref=dataclasses.replace(roles, rollout=rollout),
                               critic=_resolved_critic(config.critic, config))


def _resolved_critic(critic: CriticConfig, config: PPOConfig) -> CriticConfig:
    """With the actor's settings where its own are null. Micro-batches of a given size are counted in sequences."""
    actor, model = config.actor_rollout_ref.actor, config.actor_rollout_ref.model
    names = ("ppo_mini_batch_size", "ppo_max_token_len_per_gpu", "ppo_epochs", "shuffle", "loss_agg_mode")
    taken = {name: getattr(actor, name) for name in names if getattr(critic, name) is None}
    if critic.use_dynamic_bsz is None:
        taken["use_dynamic_bsz"] = actor.use_dynamic_bsz and critic.ppo_micro_batch_size_per_gpu is None
    if critic.ppo_micro_batch_size_per_gpu is None:
        taken["ppo_micro_batch_size_per_gpu"] = actor.ppo_micro_batch_size_per_gpu
    own = critic.model if critic.model.path else dataclasses.replace(
        critic.model, path=model.path, trust_remote_code=model.trust_remote_code)
    return dataclasses.replace(critic, model=own, **taken)


def make_plan(config: PPOConfig, steps_per_epoch: int, stop_ids: tuple[int, ...]) -> StepPlan:
    """`config` is resolved; `stop_ids` end an answer."""
    actor, ref, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.ref, config.actor_rollout_ref.rollout
    total_steps = config.trainer.total_training_steps or steps_per_epoch * config.trainer.total_epochs
    mini_batches = config.data.train_batch_size // actor.ppo_mini_batch_size
    updates = mini_batches * actor.ppo_epochs
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
        on_policy=updates == 1 and not config.algorithm.use_kl_in_reward,
        sampling=sampling,
        val_sampling=val_sampling,
        probe_sampling=Sampling(0.0, min(PROBE_TOKENS, length)),
        probe_tolerance=_tolerance(rollout, config.trainer.device),
        update_bounds=_bounds(actor, None, None, actor.ppo_micro_batch_size_per_gpu),
        old_log_prob_bounds=_bounds(actor, rollout.log_prob_use_dynamic_bsz, rollout.log_prob_max_token_len_per_gpu,
                                    rollout.log_prob_micro_batch_size_per_gpu),
        ref_bounds=_bounds(actor, ref.log_prob_use_dynamic_bsz, ref.log_prob_max_token_len_per_gpu,
                           ref.log_prob_micro_batch_size_per_gpu),
        optim=_schedule(actor.optim, updates * max(0, total_steps - config.trainer.critic_warmup)),
        critic=_critic_plan(config, total_steps) if config.uses_critic else None,
        unit_size=rollout.batch_size if rollout.name == "hf" else None,
        replica_capacity=rollout.batch_size if rollout.name == "hf" else rollout.max_num_seqs,
    )


def _critic_plan(config: PPOConfig, total_steps: int) -> CriticPlan:
    critic = config.critic
    mini_batches = config.data.train_batch_size // critic.ppo_mini_batch_size
    return CriticPlan(
        mini_batches=mini_batches,
        update_bounds=_bounds(critic, None, None, None),
        value_bounds=_bounds(critic, None, critic.forward_max_token_len_per_gpu,
                             critic.forward_micro_batch_size_per_gpu),
        optim=_schedule(critic.optim, total_steps * mini_batches * critic.ppo_epochs),
    )


def _schedule(optim: OptimConfig, updates: int) -> OptimConfig:
    """`optim` with the number of updates where it is to be filled in."""
    return optim if optim.total_training_steps > 0 else dataclasses.replace(optim, total_training_steps=updates)


def _bounds(actor: ActorConfig | CriticConfig, dynamic: bool | None, max_tokens: int | None,
            size: int | None) -> MicroBatchBounds:
    """Keys of one forward pass; what is not set is as for the update."""
    if actor.use_dynamic_bsz if dynamic is None else dynamic:
        return MicroBatchBounds(max_tokens=max_tokens or actor.ppo_max_token_len_per_gpu, size=None)
    return MicroBatchBounds(max_tokens=None, size=size or actor.ppo_micro_batch_size_per_gpu)


def _tolerance(rollout: RolloutConfig, device: str) -> float:
    exact = to_dtype(rollout.dtype, device).itemsize >= 4
    return rollout.sync_probe_tolerance or (1e-3 if exact else 0.2)
