"""Training of one model: optimizer, FSDP, checkpoint, actor and reference (`actor_rollout_ref.{actor,ref}`)."""
from dataclasses import dataclass
from typing import Any

from verl.config.fields import group, key

DTYPES = ("fp32", "float32", "bf16", "bfloat16", "fp16", "float16", "fp64", "float64")
CHECKPOINT_PARTS = ("model", "optimizer", "extra")  # extra: the position in the schedule
CONTENTS = CHECKPOINT_PARTS + ("hf_model",)
LOSS_AGG_MODES = ("token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm")
POLICY_LOSSES = ("vanilla",)
_KL_NAMES = ("kl", "k1", "abs", "mse", "k2", "low_var_kl", "k3")
KL_LOSSES = _KL_NAMES + tuple(name + "+" for name in _KL_NAMES)  # "+": the gradient of k2, see verl.algorithms.kl


@dataclass(frozen=True)
class OptimConfig:
    """AdamW and its learning-rate schedule."""
    lr: float = key(1e-6, "peak learning rate", at_least=0)
    betas: tuple[float, float] = key((0.9, 0.999), "decay of the two moments", at_least=0, at_most=1)
    eps: float = key(1e-8, "added to the root of the second moment", above=0)
    weight_decay: float = key(0.01, "decoupled weight decay", at_least=0)
    lr_warmup_steps: int = key(-1, "optimizer steps of linear warm-up; negative: use the ratio")
    lr_warmup_steps_ratio: float = key(0.0, "warm-up as a share of total_training_steps", at_least=0, at_most=1)
    lr_scheduler_type: str = key("constant", "after the warm-up", choices=("constant", "cosine"))
    min_lr_ratio: float = key(0.0, "cosine: lowest learning rate as a share of lr", at_least=0, at_most=1)
    num_cycles: float = key(0.5, "cosine: number of waves; 0.5 goes down once", above=0)
    total_training_steps: int = key(-1, "length of the schedule in optimizer steps; -1: filled in by the trainer")


@dataclass(frozen=True)
class MixedPrecisionConfig:
    """FSDP's number formats."""
    param_dtype: str = key("auto", "of weights in forward and backward; auto: bf16 on CUDA, fp32 on CPU",
                           choices=("auto", ) + DTYPES)  # yapf: disable
    reduce_dtype: str = key("fp32", "of gradients while they are summed over ranks", choices=DTYPES)


@dataclass(frozen=True)
class FSDPConfig:
    """How one model is spread over the training workers."""
    param_offload: bool = key(False, "keep weights in host memory while not in use")
    optimizer_offload: bool = key(False, "keep optimizer state in host memory while not in use")
    fsdp_size: int = key(-1, "ranks that share one copy of the weights; -1: all", at_least=-1)
    reshard_after_forward: bool = key(True, "drop gathered weights between forward and backward")
    forward_prefetch: bool = key(False, "gather the next layer's weights during the current layer")
    model_dtype: str = key("fp32", "of the master weights", choices=DTYPES)
    mixed_precision: MixedPrecisionConfig = group(MixedPrecisionConfig)


@dataclass(frozen=True)
class PolicyLossConfig:
    """Which policy loss."""
    loss_mode: str = key("vanilla", "name of the policy loss", choices=POLICY_LOSSES, external=True)


@dataclass(frozen=True)
class CheckpointConfig:
    """What a checkpoint holds."""
    save_contents: list[str] = key(["model", "optimizer", "extra"], "parts to save; hf_model exports the model as well",
                                   choices=CONTENTS)  # yapf: disable
    load_contents: list[str] = key(["model", "optimizer", "extra"], "parts to load on resuming",
                                   choices=CHECKPOINT_PARTS)  # yapf: disable
    async_save: bool = key(False, "go on once the state is copied to host memory, and write the copy meanwhile")


@dataclass(frozen=True)
class ActorConfig:
    """The policy that is trained."""
    strategy: str = key("fsdp2", "training backend; both names mean FSDP2", choices=("fsdp2", "fsdp"))
    ppo_mini_batch_size: int = key(256, "prompts per optimizer step, over all devices", at_least=1)
    ppo_micro_batch_size_per_gpu: int | None = key(None, "sequences per forward-backward on a device", at_least=1)
    use_dynamic_bsz: bool = key(False,
                                "fill micro-batches up to ppo_max_token_len_per_gpu instead of counting sequences")
    ppo_max_token_len_per_gpu: int = key(16384, "hard cap on the tokens of a micro-batch", at_least=1)
    ppo_epochs: int = key(1, "passes over each batch", at_least=1)
    shuffle: bool = key(False, "draw mini-batches at random instead of taking the batch in order")
    clip_ratio: float = key(0.2, "PPO clip range of the probability ratio", above=0)
    clip_ratio_low: float | None = key(None, "lower clip range; null: clip_ratio", above=0)
    clip_ratio_high: float | None = key(None, "upper clip range; null: clip_ratio", above=0)
    clip_ratio_c: float = key(3.0, "bound of the ratio where the advantage is negative (dual clip)", above=1)
    policy_loss: PolicyLossConfig = group(PolicyLossConfig)
    loss_agg_mode: str = key("token-mean", "how token losses become one number", choices=LOSS_AGG_MODES)
    loss_scale_factor: int | None = key(None,
                                        "divisor of seq-mean-token-sum-norm; null: max_response_length",
                                        at_least=1)
    entropy_coeff: float = key(0.0, "weight of the entropy bonus")
    calculate_entropy: bool = key(True, "report the entropy even when entropy_coeff is 0")
    use_kl_loss: bool = key(False, "add a KL term to the reference to the loss")
    kl_loss_coef: float = key(0.001, "weight of the KL term", at_least=0)
    kl_loss_type: str = key("low_var_kl", "estimator of the KL divergence", choices=KL_LOSSES)
    grad_clip: float = key(1.0, "largest norm of the gradient", above=0)
    optim: OptimConfig = group(OptimConfig)
    fsdp_config: FSDPConfig = group(FSDPConfig)
    checkpoint: CheckpointConfig = group(CheckpointConfig)
    global_batch_info: dict[str, Any] = key({}, "counts of the whole mini-batch that the loss divides by", user=False)


@dataclass(frozen=True)
class RefConfig:
    """The frozen reference policy."""
    log_prob_micro_batch_size_per_gpu: int | None = key(None, "sequences per forward on a device", at_least=1)
    log_prob_use_dynamic_bsz: bool | None = key(None, "fill micro-batches up to a token cap; null: as the actor")
    log_prob_max_token_len_per_gpu: int | None = key(None, "that cap; null: the actor's ppo_max_token_len_per_gpu",
                                                     at_least=1)  # yapf: disable
    fsdp_config: FSDPConfig = group(FSDPConfig)
