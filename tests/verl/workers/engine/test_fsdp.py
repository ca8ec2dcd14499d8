"""The engine over a whole life: any number of ranks and rows, saved and resumed."""
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM

from tests.support.batches import make_batch
from tests.support.models import make_model
from tests.support.train_engines import BOUNDS, OPTIM, PPO, gradients, make_engine, moments, train_step, whole
from tests.support.two_ranks import ROWS, UNEVEN, load_checkpoint, one_pass
from verl.config.engine import CHECKPOINT_PARTS
from verl.workers.engine.base import MicroBatchBounds


def assert_close(ours, theirs, tolerance):
    """‖a - b‖ / ‖b‖ of every tensor."""
    assert ours.keys() == theirs.keys()
    for name in theirs:
        assert (ours[name] - theirs[name]).norm() <= tolerance * theirs[name].norm(), name


def assert_resumed(ours, theirs, exact_update):
    assert_close(ours["parameters"], theirs["parameters"], 0)
    assert_close(ours["moments"], theirs["moments"], 0)
    assert_close(ours["update"], theirs["update"], 0 if exact_update else 1e-6)
    assert ours["metrics"]["lr"] == theirs["metrics"]["lr"]
    assert ours["metrics"] == pytest.approx(theirs["metrics"], rel=1e-6, abs=0 if exact_update else 1e-12)


@pytest.mark.parametrize("split", UNEVEN)
def test_ranks_with_fewer_rows_keep_step(on_two_ranks, one_rank, folders, split):
    ours = on_two_ranks["uneven"][split]
    alone = one_pass(folders["qwen3"], ROWS, MicroBatchBounds(None, ROWS))
    np.testing.assert_allclose(ours["log_probs"], alone["log_probs"], rtol=1e-6)
    assert_close(ours["gradients"], alone["gradients"], 1e-10)
    for metrics in ours["metrics"]:
        assert metrics == pytest.approx(alone["metrics"][0], rel=1e-6)


def test_a_checkpoint_of_one_rank_goes_on_with_two(on_two_ranks, work):
    assert_resumed(on_two_ranks["resumed"]["from_one"], torch.load(work / "by_one.pt"), exact_update=False)


def test_a_checkpoint_of_two_ranks_goes_on_with_two(on_two_ranks):
    assert_resumed(on_two_ranks["resumed"]["from_two"], on_two_ranks["resumed"]["expected"], exact_update=True)


def test_a_checkpoint_of_two_ranks_goes_on_with_one(on_two_ranks, one_rank, work, folders):
    ours = load_checkpoint(folders["qwen3"], work / "by_two", seed=4)
    assert_resumed(ours, on_two_ranks["resumed"]["expected"], exact_update=False)


@pytest.mark.parametrize("fsdp_size", [-1, 1])
def test_a_checkpoint_written_in_the_background_is_of_its_moment(on_two_ranks, work, fsdp_size):
    resumed = on_two_ranks["resumed"]
    assert_resumed(resumed["in_background"][fsdp_size], resumed["expected"], exact_update=fsdp_size == -1)
    exported = AutoModelForCausalLM.from_pretrained(work / f"in_background_{fsdp_size}" / "huggingface")
    assert_close(dict(exported.named_parameters()), resumed["expected"]["parameters"], 0)


@pytest.mark.gpu
def test_a_copy_on_the_host_is_of_its_moment_on_cuda(folders, tmp_path):
    """The copies leave the device before the next update writes there."""
    torch.cuda.set_device(0)
    dist.init_process_group("cpu:gloo,cuda:nccl", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        engine = make_engine(folders["qwen3"], device="cuda")
        train_step(engine, make_batch(ROWS))
        expected = whole(engine.parameters)
        snapshot = engine.snapshot([*CHECKPOINT_PARTS, "hf_model"], on_host=True)
        train_step(engine, make_batch(ROWS, seed=1))
        snapshot.write(tmp_path)
        engine.load(tmp_path / "actor")
        assert_close(whole(engine.parameters), expected, 0)
        again = make_engine(folders["qwen3"])  # on the CPU
        again.load(tmp_path / "actor")
        assert_close(whole(again.parameters), {name: p.cpu() for name, p in expected.items()}, 0)
    finally:
        dist.destroy_process_group()


def test_weights_alone_go_from_any_number_of_ranks_to_any(on_two_ranks, one_rank, work, folders):
    resumed = on_two_ranks["resumed"]
    cases = [(resumed["weights_from_one"], torch.load(work / "by_one.pt")),
             (resumed["weights_from_two"], resumed["expected"]),
             (load_checkpoint(folders["qwen3"], work / "by_two", 4, ["model"]), resumed["expected"])]  # yapf: disable
    for ours, theirs in cases:
        assert_close(ours["parameters"], theirs["parameters"], 0)
        assert not any(value.any() for value in ours["moments"].values())
        assert ours["metrics"]["actor/pg_loss"] == pytest.approx(theirs["metrics"]["actor/pg_loss"], rel=1e-6)
        assert ours["metrics"]["lr"] == OPTIM.lr / 2  # the schedule starts anew


def test_a_checkpoint_of_one_rank_goes_on_with_one(one_rank, work, folders):
    ours = load_checkpoint(folders["qwen3"], work / "by_one", seed=3)
    theirs = torch.load(work / "by_one.pt")
    assert_resumed(ours, theirs, exact_update=True)
    assert ours["metrics"]["lr"] != OPTIM.lr  # the schedule moves, so its place is seen to be resumed
    assert all(float(update.abs().max()) > 0 for update in ours["update"].values())


def test_another_models_checkpoint_is_refused_by_name(one_rank, work, folders, tmp_path):
    with pytest.raises(ValueError,
                       match=r"another model \(model.layers.0.self_attn.k_norm.weight is \[8\] there, None "
                       r"here\); set trainer.resume_mode=disable"):
        make_engine(folders["llama"]).load(work / "by_one")
    wider = make_model("qwen3").config
    wider.intermediate_size = 64
    AutoModelForCausalLM.from_config(wider).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"layers.0.mlp.down_proj.weight is \[32, 48\] there, \[32, 64\] here"):
        make_engine(tmp_path).load(work / "by_one")


@pytest.mark.parametrize("override, said", [
    ({"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}, "head_dim is 8 there, 16 here"),
    ({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}},
     "rope_parameters is {'rope_theta': 10000.0, 'rope_type': 'default'} there, .*500000.0"),
    ({"rms_norm_eps": 1e-5}, "rms_norm_eps is 1e-06 there, 1e-05 here"),
])  # yapf: disable
def test_a_model_of_equal_shapes_that_computes_otherwise_is_refused(one_rank, folders, tmp_path, override, said):
    make_engine(folders["llama"]).save(tmp_path)
    with pytest.raises(ValueError, match=rf"another model \({said}"):
        make_engine(folders["llama"], override_config=override).load(tmp_path)


def test_what_changes_no_output_may_differ(one_rank, folders, tmp_path):
    make_engine(folders["llama"]).save(tmp_path)
    make_engine(folders["llama"], override_config={"max_position_embeddings": 256, "use_cache": False}).load(tmp_path)


def test_parts_of_a_checkpoint(one_rank, folders, tmp_path):
    engine, batch = make_engine(folders["qwen2"]), make_batch(ROWS)
    train_step(engine, batch)
    engine.save(tmp_path, ["model", "extra"])
    weights_only = make_engine(folders["qwen2"])
    weights_only.load(tmp_path, ["model"])
    assert_close(whole(weights_only.parameters), whole(engine.parameters), 0)
    assert train_step(weights_only, batch)["lr"] == OPTIM.lr / 2  # the schedule starts anew
    with pytest.raises(ValueError, match=r"holds no optimizer .* set checkpoint.load_contents=\[extra,model\]"):
        make_engine(folders["qwen2"]).load(tmp_path)


def test_settings_of_the_resuming_run_count(one_rank, work, folders):
    changed = dataclasses.replace(OPTIM, lr=3e-3, weight_decay=0.5, betas=(0.5, 0.9))
    engine = make_engine(folders["qwen3"], "fp64", optim=changed)
    for _ in range(2):  # the second time over what the first left
        engine.load(work / "by_one")
        group = engine.optimizer.param_groups[0]
        assert (group["weight_decay"], group["betas"]) == (0.5, (0.5, 0.9))
        expected = torch.load(work / "by_one.pt")
        assert_close(moments(engine), expected["moments"], 0)
        metrics = train_step(engine, make_batch(ROWS))
        assert metrics["lr"] == pytest.approx(expected["metrics"]["lr"] * 3e-3 / OPTIM.lr)


def test_a_forward_leaves_shards_in_master_precision(one_rank, folders, tmp_path):
    engine = make_engine(folders["llama"], param_dtype="bf16")
    columns = engine.forward(make_batch(ROWS), BOUNDS, 1.0).batch
    assert {columns[name].dtype for name in ("log_probs", "entropys")} == {np.dtype(np.float32)}
    assert all(isinstance(p, DTensor) and p.dtype == torch.float32 for p in engine.parameters.values())
    engine.export_hf(tmp_path)
    exported = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert_close(dict(exported.named_parameters()), dict(make_model("llama").named_parameters()), 0)
    name = "generation_config.json"  # the ids that end an answer
    assert (tmp_path / name).read_text() == (Path(folders["llama"]) / name).read_text()


def test_mixed_precision_runs_in_the_lower_and_steps_in_the_higher(one_rank, folders):
    batch = make_batch(ROWS)
    results = {}
    for precision in ("fp32", "bf16"):
        engine = make_engine(folders["qwen2"], param_dtype=precision)
        engine.forward_backward(batch, PPO, BOUNDS, 1.0, with_entropy=True)
        results[precision] = gradients(engine)
    assert {g.dtype for g in results["bf16"].values()} == {torch.float32}
    total = lambda g: torch.cat([x.flatten() for x in g.values()])
    distance = (total(results["bf16"]) - total(results["fp32"])).norm() / total(results["fp32"]).norm()
    assert 1e-4 < distance < 0.1


def test_entropy_and_order_of_the_columns(one_rank, folders):
    batch, engine = make_batch(ROWS), make_engine(folders["mistral"])
    by_row = engine.forward(batch, MicroBatchBounds(None, 1), 0.7).batch
    packed = engine.forward(batch, BOUNDS, 0.7).batch
    model = make_model("mistral").eval()
    for row in range(ROWS):
        prompt, response = batch.batch["prompts"][row], batch.batch["responses"][row]
        ids = torch.tensor([[*prompt, *response]])
        lines = (model(ids).logits[0, len(prompt) - 1:ids.shape[1] - 1] / 0.7).log_softmax(-1).detach()
        log_prob = lines.gather(-1, ids[0, len(prompt):, None])[:, 0].numpy()
        for columns in (by_row, packed):
            np.testing.assert_allclose(columns["log_probs"][row], log_prob, atol=2e-5)
            np.testing.assert_allclose(columns["entropys"][row], -(lines.exp() * lines).sum(-1).numpy(), atol=2e-5)


def test_an_engine_without_optimizer_only_runs_forward(one_rank, folders):
    engine = make_engine(folders["qwen2"], optim=None, override_config={"attention_dropout": 0.5})
    assert engine.optimizer is None and not engine.module.training
    engine.forward(make_batch(ROWS), BOUNDS, 1.0)  # in eval mode dropout is off
