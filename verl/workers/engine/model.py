"""Loads a Hugging Face causal LM as a sharded module (FSDP2) whose forward returns log-probs of packed sequences; or
its backbone with a head for one value per token.
"""
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, PretrainedConfig, PreTrainedModel

from verl.utils.hub import load_hf_config, local_folder
from verl.workers.engine.attention import PACKED_ATTENTION, TakeTokens
from verl.workers.engine.log_prob import linear_log_prob
from verl.workers.engine.micro_batch import MicroBatch

# What the equivalence tests cover packed. Anything else may mix neighbouring sequences, so it is refused by name.
PARAMETER_MODULES = ("Linear", "Embedding", "RMSNorm")
LAYER_TYPES = ("full_attention", "sliding_attention")
LENGTH_DEPENDENT_ROPES = ("dynamic", "longrope")  # frequencies follow the longest sequence of the batch
LOGIT_SCALES = ("final_logit_softcapping", "logits_scaling", "logit_scale")


class PackedModel(nn.Module):
    """The root FSDP unit: backbone and head in one forward, so that the head's weight is whole where it is used.

    `outputs` names the columns that forward returns.
    """
    outputs: tuple[str, ...]

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.model = model

    def hidden(self, batch: MicroBatch) -> Tensor:
        """[labels, hidden] of the tokens that predict the response tokens of `batch`."""
        hidden = self.model.base_model(input_ids=batch.input_ids,
                                       position_ids=batch.position_ids,
                                       use_cache=False,
                                       **batch.attention_kwargs).last_hidden_state
        return TakeTokens.apply(hidden[0], batch.predictors)


class PackedCausalLM(PackedModel):
    """The policy."""
    outputs = ("log_probs", "entropys")

    def forward(self, batch: MicroBatch, temperature: float, with_entropy: bool) -> tuple[Tensor, Tensor | None]:
        """-> log-prob [labels] and entropy [labels] (or None) of the response tokens of `batch`."""
        head = self.model.get_output_embeddings()
        return linear_log_prob(self.hidden(batch), head.weight, batch.labels, temperature, with_entropy)


class PackedValueModel(PackedModel):
    """The critic."""
    outputs = ("values",)

    def forward(self, batch: MicroBatch, temperature: float, with_entropy: bool) -> tuple[Tensor]:
        """-> values [labels], each of the state before its response token. They need no temperature and no entropy."""
        hidden, head = self.hidden(batch), self.model.score
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        return (hidden.to(dtype) @ head.weight.to(dtype)[0] + head.bias.to(dtype),)


def load_model_config(path: str,
                      trust_remote_code: bool,
                      override: dict[str, Any],
                      key: str = "actor_rollout_ref.model") -> PretrainedConfig:
    """The model's config with `override` applied; an unknown override key is an error."""
    config = load_hf_config(path, trust_remote_code)
    for name, value in override.items():
        if not hasattr(config, name):
            raise ValueError(f"{key}.override_config.{name}: the config of {path} has no such key")
        try:
            setattr(config, name, value)
        except StrictDataclassError as error:
            raise ValueError(f"{key}.override_config.{name}={value!r}: {error.__cause__ or error}") from error
    return config


def check_packable(model: PreTrainedModel) -> None:
    """Refuses layer kinds that packed attention alone does not keep apart, naming each."""
    config = model.config
    unknown = {type(m).__name__ for m in model.modules() if next(m.parameters(recurse=False), None) is not None}
    unknown = {name for name in unknown if not name.endswith(PARAMETER_MODULES)}
    unknown |= {kind for kind in getattr(config, "layer_types", None) or () if kind not in LAYER_TYPES}
    unknown |= {f"{type(m).__name__}(p={m.p})" for m in model.modules() if isinstance(m, nn.Dropout) and m.p}
    unknown |= {f"rope_type {kind}" for kind in _rope_types(config) if kind in LENGTH_DEPENDENT_ROPES}
    unknown |= {key for key in LOGIT_SCALES if getattr(config, key, None) is not None}
    head = model.get_output_embeddings()
    has_values = isinstance(getattr(model, "score", None), nn.Linear)
    if not has_values and (head is None or getattr(head, "bias", None) is not None):
        unknown.add("an lm_head with a bias, or none")
    if unknown:
        raise ValueError(
            f"{config.model_type}: not tested on packed sequences: {', '.join(sorted(unknown))}. Tested are "
            f"models of {', '.join(PARAMETER_MODULES)} layers with {' or '.join(LAYER_TYPES)} "
            "(Llama, Qwen2, Qwen3, Mistral)")


def _rope_types(config: PretrainedConfig) -> set[str]:
    """Of the whole model, or of each layer type where they differ."""
    ropes = getattr(config, "rope_parameters", None) or {}
    return {rope["rope_type"] for rope in (ropes, *ropes.values()) if isinstance(rope, dict) and "rope_type" in rope}


def build_model(config: PretrainedConfig, mesh: DeviceMesh, dtype: torch.dtype, policy: MixedPrecisionPolicy,
                gradient_checkpointing: bool, activation_offload: bool, reshard_after_forward: bool,
                value_head: bool) -> PackedModel:
    """The model on the meta device, checked and sharded layer by layer over `mesh`; it has no values yet."""
    auto, packed = (AutoModelForTokenClassification, PackedValueModel) if value_head else (AutoModelForCausalLM,
                                                                                           PackedCausalLM)
    if value_head:
        config.num_labels, config.classifier_dropout = 1, 0.0
    with torch.device("meta"):
        model = auto.from_config(config, attn_implementation=PACKED_ATTENTION, dtype=dtype)
    check_packable(model)
    if gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False}, offload=activation_offload)
    module = packed(model)
    units = list(model.base_model.layers)
    if value_head or model.get_input_embeddings().weight is not model.get_output_embeddings().weight:
        units.append(model.get_input_embeddings())  # else the root keeps it whole from first to last, beside lm_head
    for unit in units:
        fully_shard(unit, mesh=mesh, mp_policy=policy, reshard_after_forward=reshard_after_forward)
    fully_shard(module, mesh=mesh, mp_policy=policy)
    return module


def sum_gradients(module: PackedModel) -> None:
    """Losses are divided by global counts, so gradients are summed over ranks, not averaged."""
    for unit in module.modules():
        if isinstance(unit, FSDPModule):
            unit.set_gradient_divide_factor(1.0)
            unit.set_force_sum_reduction_for_comms(True)  # gloo has no pre-multiplied sum


def materialize(module: PackedModel, path: str, device: torch.device, key: str = "actor_rollout_ref.model") -> None:
    """Gives `module` storage on `device` and this rank's shards of the safetensors under `path`; no rank holds a full
    copy. A value head that the files do not hold is 0, so that a new critic expects nothing.
    """
    folder = local_folder(path)
    if not any(folder.glob("*.safetensors")):
        raise ValueError(f"{key}.path={path} has no *.safetensors; save the model with save_pretrained")
    module.to_empty(device=device)
    _fill_buffers(module.model)
    state = dict(module.model.named_parameters())
    reader = HuggingFaceStorageReader(str(folder))
    saved = {name: tuple(entry.size) for name, entry in reader.read_metadata().state_dict_metadata.items()}
    new = [name for name in state if name.startswith("score.") and name not in saved]
    with torch.no_grad():
        for name in new:
            state.pop(name).zero_()
    wrong = {name: tuple(p.shape) for name, p in state.items() if saved.get(name) != tuple(p.shape)}
    if wrong:
        name, shape = next(iter(wrong.items()))
        there = f"{saved[name]} in the files" if name in saved else "not in the files"
        raise ValueError(f"{key}.path={path}: {len(wrong)} of {len(state)} weights do not fit config.json "
                         f"and override_config; the first is {name}: {shape} by the config, {there}")
    with torch.no_grad():
        dcp.load(state, storage_reader=reader)


def _fill_buffers(model: PreTrainedModel) -> None:
    """Computes the buffers that no checkpoint holds (rotary frequencies)."""
    for name, module in model.named_modules():
        if not list(module.buffers(recurse=False)):
            continue
        if "RotaryEmbedding" not in type(module).__name__:
            raise ValueError(f"{name}: {type(module).__name__} keeps buffers, which is not tested")
        model._init_weights(module)
