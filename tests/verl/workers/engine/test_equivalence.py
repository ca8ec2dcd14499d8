"""Gradients do not depend on how the work is split: one reference, many ways to the same numbers.

The reference shares no code with the engine: padded rows, whole logits, the loss written from its formula.
"""
import dataclasses
import itertools
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from tests.support.batches import make_batch
from tests.support.models import FAMILIES, make_model, save_model
from tests.support.ranks import run_ranks
from verl.config.engine import LOSS_AGG_MODES, ActorConfig, FSDPConfig, MixedPrecisionConfig, OptimConfig
from verl.config.model import ModelConfig
from verl.protocol import DataProto
from verl.workers.engine.base import BatchTotals, LossInputs, MicroBatchBounds
from verl.workers.engine.fsdp import FSDPEngine
from verl.workers.losses import ppo_loss

ROWS, SCALE, TEMPERATURE = 16, 12, 0.8
N = 4  # answers to each prompt, where they share it
ACTOR = ActorConfig(use_kl_loss=True, kl_loss_coef=0.1, kl_loss_type="low_var_kl", entropy_coeff=0.01)
SPLITS = {
    "micro-batch 1": MicroBatchBounds(None, 1),
    "micro-batch 2": MicroBatchBounds(None, 2),
    "micro-batch 8": MicroBatchBounds(None, 8),
    "token cap": MicroBatchBounds(40, None),
}
SHARED = {"shared prompts": SPLITS["token cap"], "shared prompts, micro-batch 8": SPLITS["micro-batch 8"]}
Gradients = dict[str, torch.Tensor]


def reference_gradients(family: str, mode: str, dtype: torch.dtype, n: int = 1) -> Gradients:
    model, batch = make_model(family).to(dtype), make_batch(ROWS, n=n)
    prompts, responses = batch.batch["prompts"], batch.batch["responses"]
    width = int(responses.lengths.max())
    log_prob, entropy = (torch.zeros(ROWS, width, dtype=dtype) for _ in range(2))
    longest = int((prompts.lengths + responses.lengths).max())
    ids, keep = torch.zeros(ROWS, longest, dtype=torch.int64), torch.zeros(ROWS, longest, dtype=torch.int64)
    for row in range(ROWS):
        sequence = torch.tensor([*prompts[row], *responses[row]])
        ids[row, :len(sequence)], keep[row, :len(sequence)] = sequence, 1
    logits = model(input_ids=ids, attention_mask=keep).logits / TEMPERATURE
    distribution = torch.log_softmax(logits, -1)
    for row in range(ROWS):
        start, length = len(prompts[row]), len(responses[row])
        lines = distribution[row, start - 1:start - 1 + length]
        log_prob[row, :length] = lines.gather(-1, torch.tensor(responses[row][:, None], dtype=torch.int64))[:, 0]
        entropy[row, :length] = -(lines.exp() * lines).sum(-1)
    padded = lambda name: torch.from_numpy(batch.batch[name].to_padded(length=width))
    mask, old, ref = padded("response_mask"), padded("old_log_probs"), padded("ref_log_prob")
    advantages = torch.from_numpy(batch.batch["advantages"])[:, None]
    ratio = (log_prob - old).exp()
    clipped = ratio.clamp(1 - ACTOR.clip_ratio, 1 + ACTOR.clip_ratio)
    policy = torch.maximum(-advantages * ratio, -advantages * clipped)
    policy = torch.where(advantages < 0, torch.minimum(policy, -advantages * ACTOR.clip_ratio_c), policy)
    kl = ((ref - log_prob).exp() - (ref - log_prob) - 1).clamp(-10, 10)
    token_loss = torch.where(mask, policy + ACTOR.kl_loss_coef * kl - ACTOR.entropy_coeff * entropy, 0.0)
    tokens_per_row = mask.sum(1)
    sequences = int((tokens_per_row > 0).sum())
    loss = {
        "token-mean": token_loss.sum() / mask.sum(),
        "seq-mean-token-sum": token_loss.sum() / sequences,
        "seq-mean-token-mean": (token_loss.sum(1) / tokens_per_row.clamp(min=1)).sum() / sequences,
        "seq-mean-token-sum-norm": token_loss.sum() / SCALE / sequences,
    }[mode]
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters()}


def _local_totals(loss_fn):
    """The seeded fault: every micro-batch divides by its own counts, as if it were the whole batch."""

    def faulty(inputs: LossInputs, totals: BatchTotals):
        per_row = inputs.response_mask.sum(1)
        return loss_fn(inputs, BatchTotals(max(1, int(per_row.sum())), max(1, int((per_row > 0).sum()))))

    return faulty


def engine_gradients(folder: str,
                     dtype: str,
                     mode: str = "token-mean",
                     bounds: MicroBatchBounds = SPLITS["token cap"],
                     checkpointing: bool = False,
                     fsdp_size: int = -1,
                     n: int = 1,
                     fault: bool = False) -> Gradients:
    precision = MixedPrecisionConfig(param_dtype=dtype, reduce_dtype=dtype)
    fsdp = FSDPConfig(model_dtype=dtype, mixed_precision=precision, fsdp_size=fsdp_size)
    model = ModelConfig(path=folder, enable_gradient_checkpointing=checkpointing)
    engine = FSDPEngine(model, fsdp, torch.device("cpu"), OptimConfig())
    batch: DataProto = make_batch(ROWS, n=n).chunk(dist.get_world_size())[dist.get_rank()]
    loss_fn = ppo_loss(dataclasses.replace(ACTOR, loss_agg_mode=mode), SCALE)
    engine.forward_backward(batch, _local_totals(loss_fn) if fault else loss_fn, bounds, TEMPERATURE, with_entropy=True)
    return {name: p.grad.full_tensor() for name, p in engine.parameters.items()}


def all_variants(folder: str, dtype: str) -> dict[str, Gradients]:
    """Every loss_agg_mode, every split, checkpointing, weights replicated on each rank; and the fault."""
    variants = {mode: {"mode": mode} for mode in LOSS_AGG_MODES}
    variants |= {name: {"bounds": bounds} for name, bounds in SPLITS.items()}
    variants |= {name: {"bounds": bounds, "n": N} for name, bounds in SHARED.items()}
    variants |= {"checkpointing": {"checkpointing": True}, "replicated": {"fsdp_size": 1}, "fault": {"fault": True}}
    return {name: engine_gradients(folder, dtype, **variant) for name, variant in variants.items()}


def everything(folders: dict[str, str]) -> dict[tuple[str, str], dict[str, Gradients]]:
    return {
        (family, dtype): all_variants(folder, dtype)
        for (family, folder), dtype in itertools.product(folders.items(), ("fp32", "fp64"))
    }


def distance(ours: Gradients, reference: Gradients) -> float:
    """Largest relative error ‖Δg‖/‖g‖ of a parameter."""
    assert ours.keys() == reference.keys()
    return max(
        float((ours[n].double() - reference[n].double()).norm() / reference[n].double().norm()) for n in reference)


@pytest.fixture(scope="module", params=[1, 2], ids=["1 rank", "2 ranks"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    root: Path = tmp_path_factory.mktemp("models")
    return run_ranks(request.param, everything, {family: str(save_model(family, root / family)) for family in FAMILIES})


@pytest.mark.parametrize("dtype, tolerance", [("fp32", 1e-5), ("fp64", 1e-10)])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_split_gives_the_reference_gradient(results, family: str, dtype: str, tolerance: float):
    torch_dtype = torch.float64 if dtype == "fp64" else torch.float32
    reference = {mode: reference_gradients(family, mode, torch_dtype) for mode in LOSS_AGG_MODES}
    for variant, gradients in results[family, dtype].items():
        if variant not in SHARED and variant != "fault":
            assert distance(gradients, reference.get(variant, reference["token-mean"])) < tolerance, variant


@pytest.mark.parametrize("dtype, tolerance", [("fp32", 1e-5), ("fp64", 1e-6)])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_that_is_read_once_gives_the_reference_gradient(results, family: str, dtype: str, tolerance: float):
    """Norms round their gradient to float32 in any dtype: here that of the sum over rows, else that of each."""
    reference = reference_gradients(family, "token-mean", torch.float64 if dtype == "fp64" else torch.float32, N)
    for variant in SHARED:
        assert distance(results[family, dtype][variant], reference) < tolerance, variant


@pytest.mark.parametrize("family", FAMILIES)
def test_a_local_denominator_is_noticed(results, family: str):
    reference = reference_gradients(family, "token-mean", torch.float64)
    assert distance(results[family, "fp64"]["fault"], reference) > 1e-2
