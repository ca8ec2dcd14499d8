"""Values, advantages, value loss and its gradient do not depend on how the work is split.

The reference shares no code with the engine: Hugging Face's own token classifier on padded rows, GAE in NumPy, the loss
written from its formula.
"""
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from transformers import AutoModelForTokenClassification

from tests.support.batches import make_batch
from tests.support.models import make_model, save_model
from tests.support.ranks import run_ranks
from verl.config.critic import CriticConfig
from verl.config.engine import LOSS_AGG_MODES, FSDPConfig, MixedPrecisionConfig, OptimConfig
from verl.config.model import ModelConfig
from verl.protocol import DataProto
from verl.utils.ragged import Ragged
from verl.workers.engine.base import BatchTotals, MicroBatchBounds
from verl.workers.engine.fsdp import FSDPEngine
from verl.workers.losses import value_loss
from verl.workers.token_rewards import value_advantages, value_metrics

FAMILIES = ("llama", "qwen2_tied", "mistral")
ROWS, SCALE, GAMMA, LAM, UNKNOWN = 16, 12, 0.97, 0.9, 5
CRITIC = CriticConfig(cliprange_value=0.3, loss_agg_mode="token-mean")
SPLITS = {
    "micro-batch 1": MicroBatchBounds(None, 1),
    "micro-batch 8": MicroBatchBounds(None, 8),
    "token cap": MicroBatchBounds(40, None),
}


def make_critic(family: str) -> torch.nn.Module:
    """The family's backbone below a head that is not 0, in float64."""
    backbone = make_model(family)
    config = backbone.config
    config.num_labels, config.classifier_dropout = 1, 0.0
    critic = AutoModelForTokenClassification.from_config(config)
    critic.load_state_dict(backbone.state_dict(), strict=False)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in critic.score.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return critic.double()


def make_rollouts() -> DataProto:
    """With rewards; of row UNKNOWN nothing is known."""
    batch = make_batch(ROWS).select(["prompts", "responses", "response_mask"])
    mask = batch.batch["response_mask"]
    counted = mask.values.copy()
    counted[mask.offsets[UNKNOWN]:mask.offsets[UNKNOWN + 1]] = False
    batch.batch["response_mask"] = Ragged(counted, mask.offsets)
    batch.batch["rewards"] = np.random.default_rng(3).normal(size=ROWS)
    batch.batch["rewards"][UNKNOWN] = np.nan
    return batch


def reference(family: str, mode: str) -> dict:
    model, batch = make_critic(family), make_rollouts()
    prompts, responses, masks = (batch.batch[name] for name in ("prompts", "responses", "response_mask"))
    rows = []
    for row in range(ROWS):  # alone, so that no neighbour can mix in
        ids = torch.tensor([[*prompts[row], *responses[row]]])
        rows.append(model(input_ids=ids).logits[0, len(prompts[row]) - 1:ids.shape[1] - 1, 0])
    values = [v.detach().numpy().astype(np.float32).astype(np.float64) for v in rows]
    raw, targets = [np.zeros(len(v)) for v in values], [np.zeros(len(v)) for v in values]
    for row, v in enumerate(values):
        places = np.flatnonzero(masks[row])
        advantage, following = 0.0, 0.0
        for place in reversed(places):
            reward = batch.batch["rewards"][row] if place == places[-1] else 0.0
            advantage = reward + GAMMA * following - v[place] + GAMMA * LAM * advantage
            raw[row][place], targets[row][place], following = advantage, advantage + v[place], v[place]
    mask = masks.values.astype(bool)
    whole = np.concatenate(raw)
    advantages = np.where(mask, (whole - whole[mask].mean()) / np.sqrt(whole[mask].var(ddof=1) + 1e-8), 0)
    losses = []
    for vpreds, old, target, keep in zip(rows, moved(values), targets, masks[:], strict=True):
        old, target, keep = (torch.tensor(x) for x in (old, target.astype(np.float32), np.asarray(keep, bool)))
        clipped = old + (vpreds - old).clamp(-CRITIC.cliprange_value, CRITIC.cliprange_value)
        losses.append(torch.maximum((vpreds - target)**2, (clipped - target)**2)[keep] / 2)
    losses = [loss for loss in losses if len(loss)]
    loss = {
        "token-mean": sum(loss.sum() for loss in losses) / mask.sum(),
        "seq-mean-token-sum": sum(loss.sum() for loss in losses) / len(losses),
        "seq-mean-token-mean": sum(loss.mean() for loss in losses) / len(losses),
        "seq-mean-token-sum-norm": sum(loss.sum() for loss in losses) / SCALE / len(losses),
    }[mode]
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return {"values": np.concatenate(values), "advantages": advantages, "returns": np.concatenate(targets),
            "loss": float(loss.detach()), "gradients": gradients}  # yapf: disable


def moved(values: list[np.ndarray]) -> list[np.ndarray]:
    """Old values near the new ones, so that some predictions are beyond the clip range."""
    return [(v + 0.5 * np.sin(np.arange(len(v)))).astype(np.float32) for v in values]


def _sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    dist.all_reduce(values)
    return values


def _of_all_ranks(values: np.ndarray) -> np.ndarray:
    parts = [None] * dist.get_world_size()
    dist.all_gather_object(parts, values)
    return np.concatenate(parts)


def engine_pass(folder: str, mode: str = "token-mean", bounds: MicroBatchBounds = SPLITS["token cap"],
                fsdp_size: int = -1, checkpointing: bool = False, local: bool = False) -> dict:  # yapf: disable
    """`local`: the seeded faults, moments and counts of one rank's own rows."""
    precision = MixedPrecisionConfig(param_dtype="fp64", reduce_dtype="fp64")
    fsdp = FSDPConfig(model_dtype="fp64", mixed_precision=precision, fsdp_size=fsdp_size)
    model = ModelConfig(path=folder, enable_gradient_checkpointing=checkpointing)
    engine = FSDPEngine(model, fsdp, torch.device("cpu"), OptimConfig(), value_head=True)
    batch = make_rollouts().chunk(dist.get_world_size())[dist.get_rank()]
    batch.batch["values"] = engine.forward(batch, bounds, 1.0).batch["values"]
    values = batch.batch["values"]
    batch.batch |= value_advantages(batch, "gae", GAMMA, LAM, 0.0, (lambda x: x) if local else _sum_over_ranks)
    statistics = value_metrics(batch, engine.reduce_metrics)
    results = {name: _of_all_ranks(batch.batch[name].values) for name in ("values", "advantages", "returns")}
    near = moved([values[row] for row in range(len(values))])
    batch.batch["values"] = Ragged(np.concatenate(near), values.offsets)
    loss_fn = value_loss(dataclasses.replace(CRITIC, loss_agg_mode=mode), SCALE)
    if local:
        own = int(batch.batch["response_mask"].values.sum())
        metrics = engine.forward_backward(batch, lambda i, t: loss_fn(i, BatchTotals(own, t.sequences)), bounds, 1.0,
                                          False)  # yapf: disable
    else:
        metrics = engine.forward_backward(batch.select(["prompts", "responses", "response_mask", "values", "returns"]),
                                          loss_fn, bounds, 1.0, False)
    gradients = {name: p.grad.full_tensor() for name, p in engine.parameters.items()}
    return results | {"loss": metrics["critic/vf_loss"], "gradients": gradients, "metrics": metrics | statistics}


def everything(folders: dict[str, str]) -> dict[tuple[str, str], dict]:
    variants = {mode: {"mode": mode} for mode in LOSS_AGG_MODES}
    variants |= {name: {"bounds": bounds} for name, bounds in SPLITS.items()}
    variants |= {"checkpointing": {"checkpointing": True}, "replicated": {"fsdp_size": 1}, "fault": {"local": True}}
    return {(family, name): engine_pass(folder, **variant)
            for family, folder in folders.items() for name, variant in variants.items()}  # yapf: disable


@pytest.fixture(scope="module", params=[1, 2], ids=["1 rank", "2 ranks"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    root: Path = tmp_path_factory.mktemp("critics")
    for family in FAMILIES:
        make_critic(family).save_pretrained(root / family)
    folders = {family: str(root / family) for family in FAMILIES}
    return run_ranks(request.param, everything, folders) | {"ranks": request.param}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_split_gives_the_reference(results, family: str):
    variants = {key[1]: result for key, result in results.items() if key[0] == family and key[1] != "fault"}
    assert len(variants) == 9
    for variant, ours in variants.items():
        expected = reference(family, variant if variant in LOSS_AGG_MODES else "token-mean")
        for name in ("values", "advantages", "returns"):
            known = np.isfinite(expected[name])
            np.testing.assert_allclose(ours[name][known], expected[name][known], rtol=1e-5, atol=1e-6, err_msg=variant)
        assert ours["loss"] == pytest.approx(expected["loss"], rel=1e-6), variant
        assert ours["gradients"].keys() == expected["gradients"].keys()
        for name, gradient in expected["gradients"].items():
            assert float((ours["gradients"][name] - gradient).norm() / gradient.norm()) < 1e-5, (variant, name)
        assert 0 < ours["metrics"]["critic/vf_clipfrac"] < 1


def test_moments_and_counts_of_one_ranks_rows_are_noticed(results):
    """They are wrong on two ranks; one rank's are all there are."""
    ours, expected = results["llama", "fault"], reference("llama", "token-mean")
    assert (np.abs(ours["advantages"] - expected["advantages"]).max() > 1e-2) == (results["ranks"] == 2)
    assert (abs(ours["loss"] / expected["loss"] - 1) > 1e-2) == (results["ranks"] == 2)


def test_a_new_head_is_zero_and_keeps_the_backbone(tmp_path: Path):
    save_model("qwen3", tmp_path / "lm")
    values = run_ranks(2, new_head, str(tmp_path / "lm"))
    assert values["head"] == 0 and values["backbone"] == make_model("qwen3").model.norm.weight.tolist()


def new_head(folder: str) -> dict:
    engine = FSDPEngine(ModelConfig(path=folder), FSDPConfig(), torch.device("cpu"), OptimConfig(), value_head=True)
    whole = {name: p.detach().full_tensor() for name, p in engine.parameters.items()}
    return {"head": float(whole["score.weight"].abs().sum() + whole["score.bias"].abs().sum()),
            "backbone": whole["model.norm.weight"].tolist()}  # yapf: disable
