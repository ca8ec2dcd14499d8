"""Generation: the `actor_rollout_ref.rollout` keys."""
from dataclasses import dataclass
from typing import Any

from verl.config.engine import DTYPES
from verl.config.fields import group, key


@dataclass(frozen=True)
class ValKwargsConfig:
    """Sampling for validation."""
    temperature: float = key(0.0, "sampling temperature; 0: greedy", at_least=0)
    top_k: int = key(-1, "sample from so many likeliest tokens; -1 or 0: all", at_least=-1)
    top_p: float = key(1.0, "sample from the likeliest tokens up to this probability", above=0, at_most=1)
    n: int = key(1, "answers per prompt", at_least=1)
    do_sample: bool = key(False, "sample; false: greedy")


@dataclass(frozen=True)
class RolloutConfig:
    """Rollout replicas and how they sample."""
    name: str = key("auto", "engine; auto: vllm where installed, else hf", choices=("auto", "vllm", "hf"))
    n: int = key(1, "answers per prompt (the group of GRPO)", at_least=1)
    temperature: float = key(1.0, "sampling temperature", at_least=0)
    top_k: int = key(-1, "sample from so many likeliest tokens; -1 or 0: all", at_least=-1)
    top_p: float = key(1.0, "sample from the likeliest tokens up to this probability", above=0, at_most=1)
    min_new_tokens: int = key(0, "shortest answer, in tokens", at_least=0)
    ignore_eos: bool = key(False, "go on after the end-of-sequence token")
    seed: int = key(0, "seed of the engine itself; samples draw theirs from trainer.seed")
    dtype: str = key("auto", "of the weights; auto: bf16 on CUDA, fp32 on CPU", choices=("auto",) + DTYPES)
    gpu_memory_utilization: float = key(0.5, "share of GPU memory for weights and KV cache", above=0, at_most=1)
    tensor_model_parallel_size: int = key(1, "devices per replica", at_least=1)
    enforce_eager: bool | None = key(None, "no CUDA graphs, no compilation; null: on CPU only")
    free_cache_engine: bool = key(True, "free the replicas' memory while training runs")
    max_model_len: int | None = key(None, "longest prompt and answer together, in tokens; null: as the data keys say",
                                    at_least=1)  # yapf: disable
    max_num_seqs: int = key(1024, "sequences generated at once by a replica", at_least=1)
    max_num_batched_tokens: int = key(8192, "tokens in one forward of the engine", at_least=1)
    enable_chunked_prefill: bool = key(True, "split long prompts over several forwards")
    enable_prefix_caching: bool = key(True, "reuse the KV cache of shared prompt prefixes")
    calculate_log_probs: bool = key(True, "return the log-probs of sampled tokens")
    load_format: str = key("auto", "how the engine loads its first weights; nothing reads it yet")
    engine_kwargs: dict[str, Any] = key({}, "further arguments by engine, e.g. engine_kwargs.vllm.block_size=32")
    val_kwargs: ValKwargsConfig = group(ValKwargsConfig)
    log_prob_micro_batch_size_per_gpu: int | None = key(None,
                                                        "old log-probs by the actor: sequences per forward on a device",
                                                        at_least=1)
    log_prob_use_dynamic_bsz: bool | None = key(None, "old log-probs: up to a token cap; null: as the actor")
    log_prob_max_token_len_per_gpu: int | None = key(None, "that cap; null: the actor's ppo_max_token_len_per_gpu",
                                                     at_least=1)  # yapf: disable
    num_replicas: int | None = key(None, "replicas; null: devices // tensor_model_parallel_size", at_least=1)
    transport: str = key("auto", "how new weights reach replicas; auto: file", choices=("auto", "file", "ipc", "nccl"))
    batch_size: int = key(256, "hf: sequences per generate call", at_least=1)
    request_timeout: float = key(1800.0, "seconds until a request counts as lost", above=0)
    stall_timeout: float = key(300.0, "seconds without progress until a busy replica counts as lost", above=0)
    start_timeout: float = key(600.0, "seconds until a replica must have started", above=0)
    max_restarts: int = key(3, "restarts of a lost replica in a run; the next loss of it ends the run", at_least=0)
    sync_probe: bool = key(True, "compare log-probs with the trainer's after the first weight sync")
    sync_probe_tolerance: float | None = key(None, "largest difference; null: 1e-3 in fp32, 0.2 in bf16", above=0)
