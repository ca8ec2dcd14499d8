"""Weights and moments that are in host memory between the phases. Where there is no GPU, CPU tensors stand for those of
a device: their storages shrink and grow alike.
"""
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from tests.support.batches import make_batch
from tests.support.train_engines import BOUNDS, PPO, gradients, make_engine, moments, train_step, whole
from tests.support.two_ranks import ROWS, device_bytes, state_and_next_step
from verl.workers.engine.base import MicroBatchBounds
from verl.workers.engine.offload import HostCopies

NOTHING = {"weights": 0, "moments": 0}


@pytest.fixture
def offloads(one_rank, monkeypatch):
    monkeypatch.setattr("verl.workers.engine.fsdp.has_host_memory", lambda device: True)


def test_on_two_ranks_every_bit_is_the_same(on_two_ranks):
    """With padded shards, checkpointed layers and tied embeddings."""
    stays, comes_and_goes = on_two_ranks["offloaded"][False], on_two_ranks["offloaded"][True]
    assert comes_and_goes["metrics"] == stays["metrics"]
    for name, tensor in stays["parameters"].items():
        assert torch.equal(comes_and_goes["parameters"][name], tensor), name
    assert all(line == NOTHING for rank in comes_and_goes["between"] for line in rank)
    assert all(min(line.values()) > 0 for rank in stays["between"] for line in rank)


def test_two_ranks_write_and_save_what_they_have_away(on_two_ranks, work, one_rank, folders):
    stays, away = (load_file(work / f"steps_{offload}" / "model.safetensors") for offload in (False, True))
    assert stays.keys() == away.keys() and all(torch.equal(away[name], tensor) for name, tensor in stays.items())
    resumed = []
    for offload in (False, True):
        engine = make_engine(folders["qwen2_tied"])
        engine.load(work / f"steps_{offload}" / "checkpoint")
        resumed.append(state_and_next_step(engine, 3))
    for part in ("parameters", "moments", "update"):
        for name, tensor in resumed[0][part].items():
            assert torch.equal(resumed[1][part][name], tensor), name
    assert resumed[0]["metrics"] == resumed[1]["metrics"]


def test_moments_are_there_only_while_the_optimizer_steps(offloads, folders):
    engine, seen = make_engine(folders["qwen3"], offload=True), []

    def loss_fn(*args):
        seen.append(device_bytes(engine))
        return PPO(*args)

    engine.optimizer.register_step_post_hook(lambda *_: seen.append(device_bytes(engine)))
    for _ in range(2):
        train_step(engine, make_batch(ROWS), loss_fn)
    assert all(there["weights"] > 0 for there in seen)
    assert [there["moments"] > 0 for there in seen] == [False, False, True] * 2  # two micro-batches, one update


def test_a_checkpoint_is_read_into_an_engine_that_was_away(offloads, folders, work, tmp_path):
    engine, plain = make_engine(folders["qwen3"], "fp64", offload=True), make_engine(folders["qwen3"], "fp64")
    engine.offload()
    for e in (engine, plain):
        e.load(work / "by_one")
    assert device_bytes(engine)["moments"] == 0
    engine.offload()
    assert device_bytes(engine) == NOTHING
    engine.save(tmp_path / "again")
    assert device_bytes(engine) == NOTHING, "a save must not need the device"
    third = make_engine(folders["qwen3"], "fp64")
    third.load(tmp_path / "again")
    results = [state_and_next_step(e, 3) for e in (plain, third)]
    for part in ("parameters", "moments", "update"):
        assert all(torch.equal(results[0][part][name], tensor) for name, tensor in results[1][part].items())
    assert train_step(engine, make_batch(ROWS, seed=3)) == results[0]["metrics"]


def test_an_engine_that_never_stepped_is_saved(offloads, folders, tmp_path):
    """The actor during the critic's warm-up: torch makes its first moments for the checkpoint."""
    engine = make_engine(folders["llama"], offload=True)
    before = whole(engine.parameters)
    engine.offload()
    engine.save(tmp_path)
    engine.offload()
    assert engine.moments.storages and not any(home.nbytes() for home, _ in engine.moments.storages.values())
    loaded = make_engine(folders["llama"], offload=True)
    train_step(loaded, make_batch(ROWS))
    loaded.load(tmp_path)
    loaded.onload()
    assert all(torch.equal(tensor, before[name]) for name, tensor in whole(loaded.parameters).items())
    loaded.moments.onload()
    assert not any(value.any() for name, value in moments(loaded).items() if "exp_avg" in name)


def test_weights_come_one_at_a_time(offloads, folders):
    engine = make_engine(folders["qwen2"], optim=None, offload=True)
    expected = whole(engine.parameters)
    engine.offload()
    source = engine.weights("fp32")
    for name, tensor in source.gather(list(expected)):
        assert torch.equal(tensor, expected[name]) and device_bytes(engine) == NOTHING


def test_without_the_keys_nothing_moves(one_rank, folders):
    engine = make_engine(folders["qwen2"], offload=True)  # on a CPU they mean nothing
    engine.offload()
    assert device_bytes(engine)["weights"] > 0 and not engine.shards.storages


def test_what_did_not_change_is_not_copied_again():
    tensor = torch.ones(4)
    copies = HostCopies(lambda: [tensor, tensor[:2]], tensor.device, enabled=True)
    copies.offload()
    assert tensor.untyped_storage().nbytes() == 0 and len(copies.storages) == 1
    copies.onload()
    tensor.fill_(2)
    copies.offload()
    copies.onload()
    assert tensor.tolist() == [1] * 4
    tensor.fill_(2)
    copies.changed = True
    copies.offload()
    copies.offload()  # it is away already
    copies.onload()
    assert tensor.tolist() == [2] * 4


def test_checkpointed_layers_keep_their_inputs_in_host_memory(offloads, folders, monkeypatch):
    """The same gradients; per layer and micro-batch one copy, of the layer's input."""
    packed, results = [], []
    original = torch.autograd.graph.save_on_cpu.__init__

    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        pack = self.pack_hook
        self.pack_hook = lambda tensor: (packed.append(tuple(tensor.shape)), pack(tensor))[1]

    monkeypatch.setattr(torch.autograd.graph.save_on_cpu, "__init__", init)
    monkeypatch.setattr(torch.cpu, "is_available", lambda: False)  # it has no memory to pin
    for offload in (False, True):
        engine = make_engine(folders["qwen3"], enable_gradient_checkpointing=True, enable_activation_offload=offload)
        metrics = engine.forward_backward(make_batch(ROWS), PPO, BOUNDS, 1.0, True)
        results.append((metrics, gradients(engine), list(packed)))
    (metrics, plain, none), (offloaded_metrics, offloaded, copies) = results
    assert none == [] and metrics == offloaded_metrics
    assert all(torch.equal(offloaded[name], gradient) for name, gradient in plain.items())
    hidden = [shape for shape in copies if len(shape) == 3]
    assert len(hidden) == 2 * 2 and all(shape[-1] == 32 for shape in hidden)


@pytest.fixture
def on_gpu():
    dist.init_process_group("cpu:gloo,cuda:nccl", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.gpu
def test_the_memory_of_a_device_is_free_between_phases(on_gpu, folders, tmp_path):
    """The first engine's is what stays; the second's comes and goes, bit for bit."""
    make = lambda offload: make_engine(folders["qwen3"], param_dtype="bf16", offload=offload, device="cuda")
    empty, stays = torch.cuda.memory_allocated(), make(False)
    train_step(stays, make_batch(ROWS))
    kept, engine = torch.cuda.memory_allocated() - empty, make(True)
    for seed in range(2):
        train_step(engine, make_batch(ROWS, seed=seed))
        engine.offload()
    left = torch.cuda.memory_allocated() - empty - kept
    size = sum(p.to_local().nbytes for p in stays.parameters.values())
    assert kept >= 3 * size and left < 0.1 * kept  # buffers and alignment are left
    assert all(copy.is_pinned() for _, copy in engine.shards.storages.values())
    engine.save(tmp_path)
    files = dict(engine.weights("fp32").gather(list(engine.parameters)))
    assert torch.cuda.memory_allocated() - empty - kept - size < 0.1 * kept, "what was gathered, and nothing else"
    engine.onload()
    engine.moments.onload()
    stays.load(tmp_path)
    for ours, theirs in ((whole(engine.parameters), whole(stays.parameters)), (moments(engine), moments(stays)),
                         (files, whole(engine.parameters))):
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.gpu
def test_activations_of_a_device_go_to_host_memory(on_gpu, folders):
    """The same loss; while the loss is made, the inputs of the layers are not on the device."""
    held, losses = [], []
    batch = make_batch(400)
    for offload in (False, True):
        engine = make_engine(folders["qwen3"], param_dtype="bf16", device="cuda", enable_gradient_checkpointing=True,
                             enable_activation_offload=offload)  # yapf: disable
        before = torch.cuda.memory_allocated()

        def loss_fn(*args, before=before):
            held.append(torch.cuda.memory_allocated() - before)
            return PPO(*args)

        losses.append(engine.forward_backward(batch, loss_fn, MicroBatchBounds(None, 400), 1.0, False)["actor/pg_loss"])
    tokens = len(batch.batch["prompts"].values) + len(batch.batch["responses"].values)
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert held[0] - held[1] > 1.5 * tokens * 32 * 2  # two layers, hidden size 32, bfloat16
