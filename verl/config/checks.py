"""Contradictions in a config, found before anything starts: one line per cause, with the full keys and the fix.

Files are looked for; models and data are not opened.
"""
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from verl.config.critic import CriticConfig
from verl.config.fields import Key, schema, select
from verl.config.file_checks import data_files, model_files, reward_file
from verl.config.model import ModelConfig
from verl.config.ppo import PPOConfig
from verl.config.sft import SFTConfig
from verl.config.states import refusal
from verl.config.trainer import TrainerConfig


def check_ppo(config: PPOConfig) -> list[str]:
    """All that keeps main_ppo from running with this config; empty if nothing does."""
    model = config.actor_rollout_ref.model
    checks = [
        _values(config),
        _batches(config),
        _lengths(config),
        _actor_micro_batches(config),
        _log_prob_micro_batches(config),
        _critic(config),
        _devices(config),
        _sampling(config),
        _run(config.trainer, config.data.val_files),
        model_files("actor_rollout_ref.model", model.path, model.tokenizer_path),
        _activations("actor_rollout_ref.model", model),
        data_files(config.data.train_files, config.data.val_files),
        reward_file(config),
        _overlong_penalty(config),
    ]
    return [line for check in checks for line in check]


def check_sft(config: SFTConfig) -> list[str]:
    """All that keeps main_sft from running with this config; empty if nothing does."""
    checks = [
        _values(config),
        _sft_batches(config),
        _run(config.trainer, config.data.val_files),
        model_files("model", config.model.path, config.model.tokenizer_path),
        _activations("model", config.model),
        data_files(config.data.train_files, config.data.val_files),
    ]
    return [line for check in checks for line in check]


def advice_ppo(config: PPOConfig) -> list[str]:
    """What runs, but probably not as meant."""
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    validation, lines = rollout.val_kwargs, []
    if config.algorithm.adv_estimator == "grpo" and rollout.n == 1:
        lines.append("actor_rollout_ref.rollout.n=1: grpo compares the answers of one prompt; set it to 4 or more")
    if validation.n > 1 and not (validation.do_sample and validation.temperature > 0):
        lines.append(f"actor_rollout_ref.rollout.val_kwargs.n={validation.n}: greedy answers are all the same; set "
                     "val_kwargs.do_sample=True and val_kwargs.temperature")
    if not config.uses_critic and config.critic != CriticConfig():
        lines.append(
            f"critic.**: algorithm.adv_estimator={config.algorithm.adv_estimator} trains no critic: these keys "
            "do nothing")
    for role in ("rollout", "ref"):
        part = getattr(config.actor_rollout_ref, role)
        if actor.use_dynamic_bsz and part.log_prob_use_dynamic_bsz is None and part.log_prob_micro_batch_size_per_gpu:
            lines.append(f"actor_rollout_ref.{role}.log_prob_micro_batch_size_per_gpu is not used, since "
                         "actor_rollout_ref.actor.use_dynamic_bsz=True holds for log-probs too")
    return lines


def _values(config: Any) -> Iterator[str]:
    """Values that the table of states refuses, or outside the choices and bounds that their fields declare."""
    for name, row in schema(type(config)).items():
        value = select(config, name)
        for item in value if isinstance(value, list | tuple) else [value]:
            problem = refusal(type(config), name, item) or _limit(row, item)
            if problem:
                yield f"{name}={item}: {problem}"


def _limit(row: Key, value: Any) -> str | None:
    if value is None:
        return None
    registered_elsewhere = row.external and os.environ.get("VERL_USE_EXTERNAL_MODULES")
    if row.choices and value not in row.choices and not registered_elsewhere:
        return f"choose from {', '.join(row.choices)}"
    if row.at_least is not None and value < row.at_least:
        return f"must be at least {row.at_least}"
    if row.above is not None and value <= row.above:
        return f"must be above {row.above}"
    if row.at_most is not None and value > row.at_most:
        return f"must be at most {row.at_most}"
    return None


def _activations(key: str, model: ModelConfig) -> Iterator[str]:
    if model.enable_activation_offload and not model.enable_gradient_checkpointing:
        yield f"{key}.enable_activation_offload=True: only checkpointed layers are offloaded; set " \
              f"{key}.enable_gradient_checkpointing=True too"


def _device_count(trainer: TrainerConfig) -> int:
    return max(1, trainer.nnodes * trainer.n_gpus_per_node)  # 0 and less are reported by `_values`


def _batches(config: PPOConfig) -> Iterator[str]:
    batch, mini = config.data.train_batch_size, config.actor_rollout_ref.actor.ppo_mini_batch_size
    n, devices = config.actor_rollout_ref.rollout.n, _device_count(config.trainer)
    if min(batch, mini, n) < 1:  # reported by `_values`
        return
    if batch * n % devices:
        yield (
            f"data.train_batch_size={batch} × actor_rollout_ref.rollout.n={n} does not divide by the {devices} devices "
            "(trainer.nnodes × trainer.n_gpus_per_node)")
    if mini > batch:
        yield f"actor_rollout_ref.actor.ppo_mini_batch_size={mini} is above data.train_batch_size={batch}; lower it"
        return
    if batch % mini:
        yield f"data.train_batch_size={batch} does not divide by actor_rollout_ref.actor.ppo_mini_batch_size={mini}"
    if mini * n % devices:
        yield (
            f"actor_rollout_ref.actor.ppo_mini_batch_size={mini} × actor_rollout_ref.rollout.n={n} does not divide by "
            f"the {devices} devices (trainer.nnodes × trainer.n_gpus_per_node)")


def _longest(config: PPOConfig) -> tuple[int, str]:
    """Tokens of the longest possible sequence, and where they come from."""
    longest = config.data.max_prompt_length + config.data.max_response_length
    return longest, f"data.max_prompt_length + data.max_response_length = {longest}"


def _lengths(config: PPOConfig) -> Iterator[str]:
    rollout, (longest, sum_text) = config.actor_rollout_ref.rollout, _longest(config)
    if rollout.max_model_len is not None and rollout.max_model_len < longest:
        yield (
            f"actor_rollout_ref.rollout.max_model_len={rollout.max_model_len} is below {sum_text}; raise it, or set it "
            "to null")
    if rollout.min_new_tokens > config.data.max_response_length:
        yield (f"actor_rollout_ref.rollout.min_new_tokens={rollout.min_new_tokens} is above "
               f"data.max_response_length={config.data.max_response_length}; lower it")


def _actor_micro_batches(config: PPOConfig) -> Iterator[str]:
    actor, (longest, sum_text) = config.actor_rollout_ref.actor, _longest(config)
    count, switch = "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu", "actor_rollout_ref.actor.use_dynamic_bsz"
    if actor.use_dynamic_bsz and actor.ppo_micro_batch_size_per_gpu is not None:
        yield f"{count}={actor.ppo_micro_batch_size_per_gpu} and {switch}=True contradict; drop one"
    if not actor.use_dynamic_bsz and actor.ppo_micro_batch_size_per_gpu is None:
        yield f"micro-batches have no size: set {switch}=True (recommended) or {count}"
    if actor.use_dynamic_bsz and actor.ppo_max_token_len_per_gpu < longest:
        yield (f"actor_rollout_ref.actor.ppo_max_token_len_per_gpu={actor.ppo_max_token_len_per_gpu} cannot hold the "
               f"longest sequence ({sum_text}); raise it")


def _log_prob_micro_batches(config: PPOConfig) -> Iterator[str]:
    """The same for log-probs: old ones by the actor (keys at rollout), and the reference's."""
    actor, (longest, sum_text) = config.actor_rollout_ref.actor, _longest(config)
    for role in ("rollout", "ref") if config.uses_reference else ("rollout",):
        part, prefix = getattr(config.actor_rollout_ref, role), f"actor_rollout_ref.{role}.log_prob"
        dynamic, size = part.log_prob_use_dynamic_bsz, part.log_prob_micro_batch_size_per_gpu
        if dynamic and size is not None:
            yield f"{prefix}_micro_batch_size_per_gpu={size} and {prefix}_use_dynamic_bsz=True contradict; drop one"
        if not (actor.use_dynamic_bsz if dynamic is None else dynamic):
            # without a size for the actor either, the first cause is reported there
            if size is None and (dynamic is False or actor.ppo_micro_batch_size_per_gpu is not None):
                yield (f"log-probs have no micro-batch size: set {prefix}_micro_batch_size_per_gpu or "
                       f"{prefix}_use_dynamic_bsz=True")
            continue
        cap = part.log_prob_max_token_len_per_gpu
        inherited = cap is None and not actor.use_dynamic_bsz and actor.ppo_max_token_len_per_gpu < longest
        if inherited or cap is not None and cap < longest:
            yield (f"{prefix}_max_token_len_per_gpu={cap or actor.ppo_max_token_len_per_gpu} cannot hold the longest "
                   f"sequence ({sum_text}); raise it")


def _critic(config: PPOConfig) -> Iterator[str]:
    """What keeps the critic from being trained as it says; nothing where none is trained."""
    estimator = config.algorithm.adv_estimator
    if estimator == "gae" and not config.uses_critic:
        yield "critic.enable=False, but algorithm.adv_estimator=gae needs a critic; leave critic.enable out"
    if estimator == "grpo" and config.uses_critic:
        yield "critic.enable=True, but algorithm.adv_estimator=grpo uses no critic; set it to gae"
    if not config.uses_critic and config.trainer.critic_warmup:
        yield (f"trainer.critic_warmup={config.trainer.critic_warmup}: algorithm.adv_estimator={estimator} trains no "
               "critic; set it to 0")
    if not config.uses_critic:
        return
    if config.critic.model.path:
        yield from model_files("critic.model", config.critic.model.path, None)
    yield from _activations("critic.model", config.critic.model)
    yield from _critic_batches(config)


def _critic_batches(config: PPOConfig) -> Iterator[str]:
    critic, batch = config.critic, config.data.train_batch_size
    actor, (longest, sum_text) = config.actor_rollout_ref.actor, _longest(config)
    mini = critic.ppo_mini_batch_size
    if mini is not None and mini >= 1 and batch % mini:
        yield f"data.train_batch_size={batch} does not divide by critic.ppo_mini_batch_size={mini}"
    size = critic.ppo_micro_batch_size_per_gpu
    if critic.use_dynamic_bsz and size is not None:
        yield f"critic.ppo_micro_batch_size_per_gpu={size} and critic.use_dynamic_bsz=True contradict; drop one"
    dynamic = actor.use_dynamic_bsz and size is None if critic.use_dynamic_bsz is None else critic.use_dynamic_bsz
    if not dynamic and size is None and actor.use_dynamic_bsz:  # without a size for the actor, that is the cause
        yield ("the critic's micro-batches have no size: set critic.use_dynamic_bsz=True (recommended) or "
               "critic.ppo_micro_batch_size_per_gpu")
    for name in ("ppo_max_token_len_per_gpu", "forward_max_token_len_per_gpu") if dynamic else ():
        cap = getattr(critic, name)
        inherited = cap is None and name.startswith("ppo") and not actor.use_dynamic_bsz
        cap = actor.ppo_max_token_len_per_gpu if inherited else cap
        if cap is not None and cap < longest:
            yield f"critic.{name}={cap} cannot hold the longest sequence ({sum_text}); raise it"


def _devices(config: PPOConfig) -> Iterator[str]:
    ours, devices = config.actor_rollout_ref, _device_count(config.trainer)
    replica = ours.rollout.tensor_model_parallel_size
    if config.trainer.device != "cpu" and replica >= 1:
        count = f"the {devices} devices (trainer.nnodes × trainer.n_gpus_per_node)"
        if devices % replica:
            yield (f"actor_rollout_ref.rollout.tensor_model_parallel_size={replica} does not divide {count}; lower it "
                   "(on a CPU: set it to 1)")
        elif config.trainer.device == "cuda" and (ours.rollout.num_replicas or 1) * replica > devices:
            yield (f"actor_rollout_ref.rollout.num_replicas={ours.rollout.num_replicas} × "
                   f"tensor_model_parallel_size={replica} needs more than {count}; lower it")
    shards = {f"actor_rollout_ref.{role}": getattr(ours, role).fsdp_config for role in ("actor", "ref")}
    for name, fsdp in (shards | {"critic.model": config.critic.model.fsdp_config}).items():
        if fsdp.fsdp_size == 0 or fsdp.fsdp_size > 0 and devices % fsdp.fsdp_size:
            yield f"{name}.fsdp_config.fsdp_size={fsdp.fsdp_size} does not divide {devices} devices; -1: all"


def _sampling(config: PPOConfig) -> Iterator[str]:
    rollout = config.actor_rollout_ref.rollout
    if rollout.temperature == 0 and not config.trainer.val_only:
        yield (
            "actor_rollout_ref.rollout.temperature=0: training needs different answers; set it above 0 (validation has "
            "actor_rollout_ref.rollout.val_kwargs.temperature)")


def _sft_batches(config: SFTConfig) -> Iterator[str]:
    data, devices = config.data, _device_count(config.trainer)
    if data.train_batch_size % devices:
        yield (f"data.train_batch_size={data.train_batch_size} does not divide by the {devices} devices "
               "(trainer.nnodes × trainer.n_gpus_per_node)")
    if not data.use_dynamic_bsz and data.micro_batch_size_per_gpu is None:
        yield "micro-batches have no size: set data.use_dynamic_bsz=True or data.micro_batch_size_per_gpu"
    if data.use_dynamic_bsz and data.max_token_len_per_gpu < data.max_length:
        yield (f"data.max_token_len_per_gpu={data.max_token_len_per_gpu} cannot hold a row of "
               f"data.max_length={data.max_length}; raise it")


def _run(trainer: TrainerConfig, val_files: list[str]) -> Iterator[str]:
    if not val_files and (trainer.test_freq > 0 or trainer.val_only):
        asks = "trainer.val_only=True" if trainer.val_only else f"trainer.test_freq={trainer.test_freq}"
        yield f"{asks}: there is nothing to validate on; set data.val_files"
    resume_from = trainer.resume_from_path
    if trainer.resume_mode != "resume_path":
        if resume_from:
            yield f"trainer.resume_from_path={resume_from} is read with trainer.resume_mode=resume_path only"
    elif not resume_from:
        yield "trainer.resume_mode=resume_path needs trainer.resume_from_path=…/global_step_N"
    elif "global_step_" not in resume_from:
        yield f"trainer.resume_from_path={resume_from}: must name a checkpoint folder …/global_step_N"
    elif not Path(resume_from).expanduser().is_dir():
        yield f"trainer.resume_from_path={resume_from}: there is no such folder"


def _overlong_penalty(config: PPOConfig) -> Iterator[str]:
    buffer = config.reward_model.reward_kwargs.overlong_buffer_cfg
    longest = config.reward_model.reward_kwargs.max_resp_len or config.data.max_response_length
    name = "reward_model.reward_kwargs.overlong_buffer_cfg"
    if buffer.enable and not 0 < buffer.len <= longest:
        yield f"{name}.len={buffer.len}: set it between 1 and the longest response, {longest} tokens"
