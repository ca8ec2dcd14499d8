"""Which keys to change when memory runs out in a phase, and the metrics of how much each phase took."""
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from verl.config.fields import schema, select
from verl.config.ppo import PPOConfig
from verl.config.sft import SFTConfig
from verl.config.states import DEVICE_KEYS
from verl.single_controller import WorkerFailure, WorkerGroup
from verl.utils.errors import OutOfMemory
from verl.utils.memory import NAMED, says_out_of_memory

_R = "actor_rollout_ref"
_CACHE = (f"{_R}.rollout.gpu_memory_utilization", f"{_R}.rollout.free_cache_engine=True")
_ACTOR = (f"{_R}.actor.ppo_max_token_len_per_gpu", f"{_R}.actor.ppo_micro_batch_size_per_gpu")
_AWAY = (f"{_R}.actor.fsdp_config.param_offload=True", f"{_R}.actor.fsdp_config.optimizer_offload=True",
         f"{_R}.ref.fsdp_config.param_offload=True", "critic.model.fsdp_config.param_offload=True",
         "critic.model.fsdp_config.optimizer_offload=True")  # yapf: disable
_WAIT = (f"{_R}.actor.checkpoint.async_save=False", "critic.checkpoint.async_save=False",
         "checkpoint.async_save=False")  # yapf: disable
_UPDATE = ("{model}.enable_gradient_checkpointing=True", "{model}.enable_activation_offload=True")
_SFT = ("data.max_token_len_per_gpu", "data.micro_batch_size_per_gpu", "fsdp_config.optimizer_offload=True")

# Phase -> keys, most helpful first. KEY: lower it. KEY=VALUE: set it. A|B: B where A is null.
KEYS: dict[str, tuple[str, ...]] = {
    "load": (f"{_R}.rollout.num_replicas", *_AWAY),
    "start_replicas": (f"{_R}.rollout.gpu_memory_utilization", f"{_R}.rollout.max_model_len|data.max_response_length",
                       f"{_R}.rollout.max_num_batched_tokens", f"{_R}.rollout.max_num_seqs", *_AWAY),
    "gen": (f"{_R}.rollout.gpu_memory_utilization", f"{_R}.rollout.max_num_seqs", f"{_R}.rollout.batch_size",
            f"{_R}.rollout.max_num_batched_tokens", "data.max_response_length"),
    "old_log_prob": (f"{_R}.rollout.log_prob_max_token_len_per_gpu|{_ACTOR[0]}",
                     f"{_R}.rollout.log_prob_micro_batch_size_per_gpu|{_ACTOR[1]}", *_CACHE, *_AWAY),
    "ref": (f"{_R}.ref.log_prob_max_token_len_per_gpu|{_ACTOR[0]}",
            f"{_R}.ref.log_prob_micro_batch_size_per_gpu|{_ACTOR[1]}", *_CACHE, *_AWAY),
    "values": ("critic.forward_max_token_len_per_gpu|critic.ppo_max_token_len_per_gpu",
               "critic.forward_micro_batch_size_per_gpu|critic.ppo_micro_batch_size_per_gpu", *_CACHE, *_AWAY),
    "update_critic": ("critic.ppo_max_token_len_per_gpu", "critic.ppo_micro_batch_size_per_gpu",
                      *(key.format(model="critic.model") for key in _UPDATE), *_CACHE, *_AWAY),
    "update_actor": (*_ACTOR, *(key.format(model=f"{_R}.model") for key in _UPDATE), *_CACHE, *_AWAY),
    "update_weights": (*_CACHE, *_AWAY),
    "save_checkpoint": (*_WAIT, *_CACHE, *_AWAY),
    "update_sft": (*_SFT, *(key.format(model="model") for key in _UPDATE)),
    "evaluate_sft": _SFT,
}  # yapf: disable
_HOST_OF_A_GPU = (*_WAIT, *(key.replace("True", "False") for key in _AWAY), "fsdp_config.param_offload=False",
                  "fsdp_config.optimizer_offload=False", "data.train_batch_size", "reward_model.num_workers",
                  "reward_model.memory_limit_mb")  # yapf: disable

_ENGINES = {"batch_size": "hf", "max_num_seqs": "vllm", "max_num_batched_tokens": "vllm", "max_model_len": "vllm"}
_MICRO_BATCHES = ("max_token_len_per_gpu", "micro_batch_size_per_gpu")  # bounded by tokens or by rows


class _InPhases(Protocol):
    phase: str


@contextmanager
def memory_keys_are_named(config: PPOConfig | SFTConfig, device: str, trainer: _InPhases) -> Iterator[None]:
    """A failure of a worker or replica that is about memory becomes an OutOfMemory which names the keys to change."""
    try:
        yield
    except (OutOfMemory, WorkerFailure) as error:
        text, limit = str(error), config.trainer.worker_memory_limit_gb
        if limit and " died in " in text and not says_out_of_memory(text):
            raise WorkerFailure(f"{text}\ntrainer.worker_memory_limit_gb={limit:g} is set: native code that meets the "
                                "limit may end its process like this") from None
        if not says_out_of_memory(text):
            raise
        named = re.search(rf"{NAMED} (\w+)", text)  # the worker knows better what it was at
        phase = named[1] if named else trainer.phase
        known = "" if named else f"{NAMED} {phase}: "
        raise OutOfMemory(f"{known}{text}\n{advice(config, device, phase, text)}") from None


def advice(config: PPOConfig | SFTConfig, device: str, phase: str, error: str) -> str:
    """What to change, of what `config` leaves open on `device`; keys that are lowered with their values now."""
    lacks_host = device == "cuda" and not re.search("cuda|gpu memory|cache", error.lower())
    keys = _HOST_OF_A_GPU if lacks_host and phase != "start_replicas" else KEYS.get(phase, ())
    lower, settings = [], []
    for entry in keys:
        name, _, wanted = entry.partition("=")
        name = next((n for n in name.split("|") if _counts(config, n)), None)
        if name is None or device != "cuda" and name in DEVICE_KEYS:
            continue
        value = select(config, name)
        if not wanted:
            lower.append(f"{name} (now {value})")
        elif str(value) != wanted:
            settings.append(f"{name}={wanted}")
    lines = [f"Lower {', '.join(lower)}"] if lower else []
    lines += [f"set {', '.join(settings)}"] if settings else []
    if limit := config.trainer.worker_memory_limit_gb:
        lines.append(f"raise trainer.worker_memory_limit_gb (now {limit:g})")
    if phase == "load" or not lines:
        lines.append("use more devices or a smaller model")
    text = "; or ".join(lines)
    return text[:1].upper() + text[1:]


def _counts(config: PPOConfig | SFTConfig, name: str) -> bool:
    """Whether the config has the key, and the run reads it."""
    group, _, last = name.rpartition(".")
    if name not in schema(type(config)) or select(config, name) is None:
        return False
    if isinstance(config, PPOConfig):
        read = {"critic": config.uses_critic, f"{_R}.ref": config.uses_reference}
        if not all(there for part, there in read.items() if name.startswith(part + ".")):
            return False
        if last in _ENGINES and config.actor_rollout_ref.rollout.name != _ENGINES[last]:
            return False
    if not last.endswith(_MICRO_BATCHES):
        return True
    dynamic = select(config, f"{group}.{'log_prob_' if 'log_prob' in last else ''}use_dynamic_bsz")
    if dynamic is None:
        dynamic = config.actor_rollout_ref.actor.use_dynamic_bsz
    return dynamic == last.endswith(_MICRO_BATCHES[0])


def memory_metrics(workers: WorkerGroup) -> dict[str, float]:
    """Peaks of the phases since the last call, in GiB: of the rank that took most."""
    of_ranks = workers.memory_metrics()
    return {name: max(metrics[name] for metrics in of_ranks) for name in of_ranks[0]}
