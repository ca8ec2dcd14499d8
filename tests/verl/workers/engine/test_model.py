"""What is refused, and that what is loaded equals the files."""
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GptOssConfig,
    GraniteConfig,
    Lfm2Config,
    LlamaConfig,
    MambaConfig,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    Qwen3MoeConfig,
    Qwen3NextConfig,
)

from tests.support.batches import make_batch
from tests.support.models import FAMILIES, SIZES, make_model
from tests.support.train_engines import BOUNDS, PPO, gradients, make_engine, train_step, whole
from verl.workers.engine.attention import PACKED_ATTENTION
from verl.workers.engine.model import check_packable, load_model_config

PLAIN = {key: value for key, value in SIZES.items() if key != "head_dim"}
GPT2 = {"vocab_size": 61, "n_embd": 32, "n_layer": 2, "n_head": 4, "bos_token_id": None, "eos_token_id": None}
LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4,
            "original_max_position_embeddings": 64}  # yapf: disable
REFUSED = {
    "cohere": (lambda: CohereConfig(**PLAIN), ["CohereLayerNorm", "logit_scale"]),
    "gemma2": (lambda: Gemma2Config(**SIZES), ["final_logit_softcapping"]),
    "gpt2": (lambda: GPT2Config(**GPT2), ["Conv1D", "LayerNorm", r"Dropout\(p=0.1\)"]),
    "gpt_oss": (lambda: GptOssConfig(**SIZES, num_local_experts=2), ["GptOssAttention", "GptOssExperts"]),
    "granite": (lambda: GraniteConfig(**PLAIN), ["logits_scaling"]),
    "lfm2": (lambda: Lfm2Config(**PLAIN, layer_types=["conv", "full_attention"]), ["Conv1d", "conv"]),
    "llama": (lambda: LlamaConfig(**SIZES, rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}),
              ["rope_type dynamic"]),
    "mamba": (lambda: MambaConfig(vocab_size=61, hidden_size=32, num_hidden_layers=1), ["Conv1d", "MambaMixer"]),
    "opt": (lambda: OPTConfig(vocab_size=61, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, ffn_dim=32,
                              word_embed_proj_dim=32), ["LayerNorm"]),
    "phi": (lambda: PhiConfig(**PLAIN), ["an lm_head with a bias"]),
    "phi3": (lambda: Phi3Config(**PLAIN, resid_pdrop=0.25, rope_parameters=LONGROPE),
             [r"Dropout\(p=0.25\)", "rope_type longrope"]),
    "qwen3_moe": (lambda: Qwen3MoeConfig(**SIZES, num_experts=2), ["Qwen3MoeExperts", "Qwen3MoeTopKRouter"]),
    "qwen3_next": (lambda: Qwen3NextConfig(**SIZES, num_experts=2),
                   ["Conv1d", "Qwen3NextGatedDeltaNet", "linear_attention"]),
}  # yapf: disable
LLAMA3_ROPE = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # yapf: disable
ROPES = {
    "llama3": LLAMA3_ROPE,
    "linear": {
        "rope_type": "linear",
        "rope_theta": 1e4,
        "factor": 2.0
    },
    "yarn": {
        "rope_type": "yarn",
        "rope_theta": 1e6,
        "factor": 4.0,
        "original_max_position_embeddings": 32
    },
}


def on_meta(config) -> torch.nn.Module:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, attn_implementation=PACKED_ATTENTION)


@pytest.mark.parametrize("kind", REFUSED)
def test_untested_layers_are_refused_by_name(kind):
    config, names = REFUSED[kind]
    for name in names:
        with pytest.raises(ValueError, match=f"^{kind}: not tested on packed sequences: .*{name}"):
            check_packable(on_meta(config()))


@pytest.mark.parametrize("family", FAMILIES)
def test_tested_families_are_taken(family):
    check_packable(on_meta(make_model(family).config))


def test_buffers_that_no_file_holds_are_refused_by_name(one_rank, tmp_path):
    AutoModelForCausalLM.from_config(Gemma3TextConfig(**SIZES)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="embed_tokens: Gemma3TextScaledWordEmbedding keeps buffers"):
        make_engine(tmp_path)


def test_override_config(folders):
    config = load_model_config(str(folders["llama"]), False, {"attention_dropout": 0.25})
    assert (config.attention_dropout, config.hidden_size) == (0.25, 32)
    with pytest.raises(ValueError, match="model.override_config.hiden_size: the config of .* has no such key"):
        load_model_config(str(folders["llama"]), False, {"hiden_size": 64})
    with pytest.raises(ValueError, match="override_config.hidden_size='wide': .* expected int, got str"):
        load_model_config(str(folders["llama"]), False, {"hidden_size": "wide"})


@pytest.mark.parametrize("key, value, found", [
    ("intermediate_size", 40, r"6 of 27 .*gate_proj.weight: \(40, 32\) by the config, \(48, 32\) in the files"),
    ("vocab_size", 64, r"2 of 27 .*embed_tokens.weight: \(64, 32\) by the config, \(61, 32\) in the files"),
])  # yapf: disable
def test_shapes_that_do_not_fit(one_rank, folders, key, value, found):
    with pytest.raises(ValueError, match=r"model.path=.*/qwen2: " + found):
        make_engine(folders["qwen2"], override_config={key: value})


def test_missing_weights_and_files(one_rank, tmp_path):
    make_model("qwen2").save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ValueError,
                       match=r"1 of 27 weights .*layers.1.mlp.up_proj.weight: \(48, 32\) by the config, not in "):
        make_engine(tmp_path)
    file.rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"has no \*.safetensors; save the model with save_pretrained"):
        make_engine(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_loaded_as_transformers_loads(one_rank, folders, family):
    ours, theirs = make_engine(folders[family]), AutoModelForCausalLM.from_pretrained(folders[family])
    expected = dict(theirs.named_parameters())
    loaded = whole(ours.parameters)
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], parameter) for name, parameter in expected.items())
    assert_same_buffers(ours.module.model, theirs)


@pytest.mark.parametrize("rope", ROPES)
def test_rotary_frequencies(one_rank, tmp_path, rope):
    config = LlamaConfig(**SIZES | {"max_position_embeddings": 256}, rope_parameters=ROPES[rope])
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    plain = make_model("llama").model.rotary_emb.inv_freq
    assert not torch.equal(theirs.model.rotary_emb.inv_freq, plain)
    for dtype in ("fp32", "bf16"):
        assert_same_buffers(make_engine(tmp_path, dtype).module.model, theirs)


def assert_same_buffers(ours, theirs):
    ours, theirs = dict(ours.named_buffers()), dict(theirs.named_buffers())
    assert ours.keys() == theirs.keys() and ours
    for name, buffer in theirs.items():
        assert ours[name].dtype == buffer.dtype and torch.equal(ours[name], buffer), name


def test_files_of_another_dtype_are_cast(one_rank, tmp_path):
    original = make_model("qwen3").to(torch.bfloat16)
    original.save_pretrained(tmp_path)
    loaded = whole(make_engine(tmp_path, "fp32").parameters)
    assert all(torch.equal(loaded[name], p.float()) for name, p in original.named_parameters())


def test_several_files(one_rank, tmp_path):
    original = make_model("mistral")
    original.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    loaded = whole(make_engine(tmp_path).parameters)
    assert all(torch.equal(loaded[name], p) for name, p in original.named_parameters())


def test_tied_embeddings_stay_tied(one_rank, folders, tmp_path):
    """One storage, before and after a step; and its gradient is the sum of those that the two uses have untied."""
    engine, batch = make_engine(folders["qwen2_tied"], "fp64"), make_batch(6)
    model = engine.module.model

    def assert_tied():
        assert model.lm_head.weight is model.model.embed_tokens.weight
        assert "lm_head.weight" not in engine.parameters

    assert_tied()
    untied = make_model("qwen2_tied")
    untied.config.tie_word_embeddings = False
    untied.lm_head.weight = torch.nn.Parameter(untied.model.embed_tokens.weight.detach().clone())
    untied.save_pretrained(tmp_path)
    apart = make_engine(tmp_path, "fp64")
    for each in (engine, apart):
        each.forward_backward(batch, PPO, BOUNDS, 1.0, with_entropy=True)
    ours, theirs = gradients(engine), gradients(apart)
    theirs["model.embed_tokens.weight"] += theirs.pop("lm_head.weight")
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-9, atol=1e-12)
    engine.optimizer_step()
    engine.forward(batch, BOUNDS, 1.0)
    assert_tied()


def test_checkpointing_changes_no_bit(one_rank, folders):
    results = []
    for checkpointing in (False, True):
        engine = make_engine(folders["qwen3"], enable_gradient_checkpointing=checkpointing)
        assert engine.module.model.is_gradient_checkpointing == checkpointing
        metrics = train_step(engine, make_batch(6))
        results.append((metrics, whole(engine.parameters)))
    (plain_metrics, plain), (metrics, ours) = results
    assert metrics == plain_metrics
    assert all(torch.equal(ours[name], parameter) for name, parameter in plain.items())


def test_attention_dropout_is_refused_in_training(one_rank, folders):
    engine = make_engine(folders["qwen2"], override_config={"attention_dropout": 0.1})
    with pytest.raises(ValueError, match=r"attention dropout 0.1 .*\+actor_rollout_ref.model.override_config"):
        train_step(engine, make_batch(6))


@pytest.mark.parametrize("family", ["llama", "qwen2_tied"])
def test_each_of_two_ranks_holds_half(on_two_ranks, family):
    total = sum(p.nbytes for p in make_model(family).parameters())
    held = on_two_ranks["local_bytes"][family]
    assert sum(held) == total
    assert all(0.45 * total < each < 0.55 * total for each in held)
