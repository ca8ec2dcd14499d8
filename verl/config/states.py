"""What becomes of each verl key here: the table of states.

A key that has a field works. The rows below say the rest: keys that have no field, and fields of which not every value
works. The first row that matches counts.

- *always so*: what the key would choose is fixed. Some values say what happens anyway, others are accepted with one
  warning that they do nothing, the rest is refused.
- *refused*: the feature is not there. Values that leave it off are fine.
- *renamed*: the table of names is aliases.py.
- *not on this device*: DEVICE_KEYS at the end.
"""
import functools
from typing import Any

from verl.config.aliases import FOLDED, new_name
from verl.config.fields import Key, schema, select
from verl.config.ppo import PPOConfig
from verl.config.rules import ANY, Rule, State, always, idle, refused, under, works
from verl.config.sft import SFTConfig

_OTHER_OFFLOAD = "param_offload and optimizer_offload say what is kept in host memory"
_NO_PROFILER = "there is no profiler: these keys do nothing"
_NO_REWARD_MODEL = "only a reward model reads it"
_NO_TOOLS = "answers have one turn and call no tools yet; leave it out"
_TEXT_ONLY = "prompts are text only; leave it out"
_NO_LORA = "all weights are trained, LoRA is not there yet; set it to 0"
_NOT_BUILT = "this is not there yet; leave it off"
_CHUNKED = "log-probs and entropy are always computed in chunks of tokens"
_ONE_PATH = "there is one reward path, killable processes; set custom_reward_function.path for your own scores"

_DATA = [
    always("{return_raw_chat,return_raw_input_ids,return_full_prompt}", "rows always keep their messages"),
    always("{image_key,video_key,audio_key}", _TEXT_ONLY, "images", "videos", "audios", None),
    always("{return_multi_modal_inputs,image_patch_size,mm_processor_kwargs}", _TEXT_ONLY),
    always("{dataloader_num_workers,num_workers,filter_overlong_prompts_workers}", "rows need no workers of their own"),
    always("validation_shuffle", "validation rows keep their order; leave it out", False),
    idle("use_shm", "files are read where they are", False),
    idle("gen_batch_size", "only dynamic sampling reads it, which is not there yet", None),
    refused("{custom_cls,datagen}.{path,name}",
            "rows are read by the one dataset; write a data_preprocess script instead"),
    refused("sampler.{class_path,class_name}", "the order is data.shuffle and data.seed"),
    refused("{tool_config_path,function_tool_path}", _NO_TOOLS),
]
_MODEL = [
    always("use_remove_padding", "sequences are always packed; leave it out", True),
    idle("use_shm", "the model is read where it is", False),
    always("{use_fused_kernels,use_liger}", _CHUNKED, False, idle=(True,)),
    always("fused_kernel_options.**", _CHUNKED),
    refused("{lora_rank,lora.rank}", _NO_LORA, 0, None),
    refused("lora_adapter_path", _NO_LORA.replace("0", "null")),
    always("{lora_alpha,target_modules,exclude_modules,lora.**}", "only LoRA reads it"),
    refused("{tiled_mlp.enabled,mtp.enable,mtp.enable_train,mtp.enable_rollout}", _NOT_BUILT, False),
    always("{tiled_mlp,mtp}.**", "read only with the feature on"),
    refused("custom_chat_template", "put the template into the model's tokenizer_config.json"),
    refused("external_lib", "name the module in the environment variable VERL_USE_EXTERNAL_MODULES instead"),
    refused("torch_dtype", "weights are kept in fsdp_config.model_dtype; set that instead"),
    refused("hf_config_path", "config.json is read from model.path; set single entries by model.override_config"),
]
_OPTIM = [
    always("optimizer", "the optimizer is AdamW; leave it out", "AdamW"),
    always("optimizer_impl", "the optimizer is torch.optim.AdamW; leave it out", "torch.optim"),
    always("zero_indexed_step", "the first step of a warm-up has a learning rate above 0"),
    refused("override_optimizer_config", "set optim.betas and optim.eps instead"),
]
_FSDP = [
    idle("{offload_policy,grad_offload,cpu_offload,offload_params}", _OTHER_OFFLOAD, False),
    always("forward_prefetch", "FSDP2 gathers ahead by itself", False, idle=(True,)),
    always("{use_orig_params,wrap_policy.**,mixed_precision.buffer_dtype,forward_only}", "FSDP2 needs no such setting"),
    always("{entropy_from_logits_with_chunking,entropy_from_logits_chunk_size,entropy_checkpointing}", _CHUNKED),
    always("use_torch_compile", "the model is not compiled", False, idle=(True,)),
    always("ulysses_sequence_parallel_size", FOLDED, 1, idle=ANY),
    always("{strategy,use_no_sync_for_gradient_accumulation,seed,pad_to_length_bucket}",
           "there is nothing to choose here"),
    refused("{full_determinism,pad_to_length,qat.enable}", _NOT_BUILT, False),
    always("{qat,turbo_config}.**", "read only with the feature on"),
]
_CHECKPOINT = [
    always("strict", "a checkpoint of another model is always refused", True, idle=(False,)),
]
_ROLE = [  # actor, ref and critic alike
    always("use_torch_compile", "the model is not compiled", False, idle=(True,)),
    always("ulysses_sequence_parallel_size", FOLDED, 1, idle=ANY),
    idle("megatron.**", FOLDED),
    always("{entropy_from_logits_with_chunking,entropy_from_logits_chunk_size,entropy_checkpointing}", _CHUNKED),
    always("use_fused_kernels", _CHUNKED, False, idle=(True,)),
    always("use_remove_padding", "sequences are always packed; leave it out", True),
    always("{rollout_n,data_loader_seed,freeze_vision_tower,grad_offload}", "there is nothing to choose here"),
    refused("{pad_to_length,qat.enable}", _NOT_BUILT, False),
    always("router_replay.mode", _NOT_BUILT, "disabled"),
    always("{router_replay,qat}.**", "read only with the feature on"),
]
_ACTOR = [
    always("use_prefix_grouper", "a prompt is read once for its answers, where that pays", True, idle=(False,)),
    refused("calculate_sum_pi_squared", "no advantage estimator here needs it; leave it off", False),
    always("policy_loss.{clip_cov_ratio,clip_cov_lb,clip_cov_ub,kl_cov_ratio,ppo_kl_coef,dro_beta}",
           "only other policy losses read it"),
    always("{tau_pos,tau_neg}", "only other policy losses read it"),
]
_REF = [
    always("strategy", "the reference runs as the actor does"),
    idle("fsdp_config.optimizer_offload", "the reference has no optimizer", False),
    refused("{model,model.path}", "the reference is the actor's first weights"),
]
_CRITIC = [
    always("model.{tokenizer_path,external_lib}", "texts are read with the actor's tokenizer"),
    always("{nccl_timeout,ray_namespace}", "there is nothing to choose here"),
]
_ROLLOUT = [
    always("mode", "requests are always asynchronous", "async", "sync", None),
    always("calculate_log_probs", "log-probs of sampled tokens are always returned", True, idle=(False,)),
    always("do_sample", "training samples; set val_kwargs.do_sample for validation", True),
    works("transport", "there is no split placement yet; set it to auto, file or ipc", ("auto", "file", "ipc")),
    always("load_format", "replicas load the model's files, then take the trainer's weights", "auto", idle=ANY),
    idle("{layered_summon,multi_stage_wake_up,disable_log_stats,skip_tokenizer_init}", "the engine has no such choice",
         False, True),
    idle("{checkpoint_engine.**,update_weights_bucket_megabytes}", "how weights move is rollout.transport's choice"),
    idle("engine_kwargs.{sglang,trtllm}.**", "only that engine reads it", None),
    always("engine_kwargs.{sglang,trtllm}", "only that engine reads it"),
    idle("over_sample_rate", "every answer that is asked for is generated", 0),
    idle("{data_parallel_size,expert_parallel_size,pipeline_model_parallel_size}",
         "a replica is tensor-parallel only; set rollout.num_replicas for more replicas", 1),
    refused("multi_turn.enable", _NO_TOOLS, False),
    refused("{multi_turn.{tool,interaction}_config_path,multi_turn.function_tool_path}", _NO_TOOLS),
    always("multi_turn.**", "read only with multi_turn.enable"),
    always("agent.default_agent_loop", _NO_TOOLS, "single_turn_agent"),
    refused("{agent.agent_loop_config_path,agent.custom_async_server.*}", _NO_TOOLS),
    always("agent.num_workers", "requests need no workers of their own"),
    refused("trace.backend", "answers are written to trainer.rollout_data_dir instead", None),
    always("trace.**", "read only with trace.backend"),
    refused(
        "{prometheus.enable,disaggregation.enabled,qat.enable,skip_rollout,enable_rollout_routing_replay,full_determinism}",
        _NOT_BUILT, False),
    always("{prometheus,disaggregation,qat}.**", "read only with the feature on"),
    refused("{quantization,quantization_config_file,limit_images}", _NOT_BUILT),
    always("{mtp,qat,mtp.**}", "read only with the feature on"),
    refused("cudagraph_capture_sizes", "set engine_kwargs.vllm.compilation_config instead"),
    always("logprobs_mode", "log-probs are those of the sampling distribution; leave it out", "processed_logprobs"),
    always("scheduling_policy", "set engine_kwargs.vllm.scheduling_policy instead", "fcfs"),
    refused("nnodes", "rollout and training share the devices for now; leave it out", 0, None),
    refused("use_fire_sampling", _NOT_BUILT, False),
    always("{skip_dump_dir,n_gpus_per_node,moe_load_balance_metrics_interval}", "read only with the feature on"),
]
_ALGORITHM = [
    refused("rollout_correction.{rollout_is,rollout_rs}", _NOT_BUILT),
    refused("rollout_correction.bypass_mode", _NOT_BUILT, False),
    always("rollout_correction.*", "read only with the feature on"),
    refused("{use_pf_ppo,filter_groups.enable}", _NOT_BUILT, False),
    always("{pf_ppo,filter_groups}.*", "read only with the feature on"),
]
_REWARD_MODEL = [
    refused("enable", "answers are scored by functions: set custom_reward_function.path instead", False),
    always("sandbox_fusion.{max_concurrent,memory_limit_mb}", "reward_model.num_workers bounds what runs at once"),
    always("{use_reward_loop,launch_reward_fn_async}", _ONE_PATH),
    refused("{reward_loop_source,reward_loop_module_path,reward_loop_class_name,reward_metric}", _ONE_PATH),
    always("enable_resource_pool", _NO_REWARD_MODEL),
    always("{model.**,rollout.**,strategy,max_length,nnodes,n_gpus_per_node,use_dynamic_bsz}", _NO_REWARD_MODEL),
    always("{micro_batch_size,micro_batch_size_per_gpu,forward_max_token_len_per_gpu}", _NO_REWARD_MODEL),
    always("ulysses_sequence_parallel_size", _NO_REWARD_MODEL),
]
_REWARD = [  # the newer spelling; the rest of it is renamed
    always("reward_manager.source", _ONE_PATH, "register", None),
    always("{reward_manager.module.*,reward_model.**}", _NO_REWARD_MODEL),
]
_TRAINER = [
    always("max_critic_ckpt_to_keep", "actor and critic are kept together; set trainer.max_actor_ckpt_to_keep"),
    always("{use_legacy_worker_impl,use_v1}", "there is one worker"),
    refused("default_hdfs_dir", "checkpoints go to trainer.default_local_dir"),
    refused("{del_local_ckpt_after_load,remove_previous_ckpt_in_save}", "set trainer.max_actor_ckpt_to_keep instead",
            False),
    refused("esi_redundant_time", "set trainer.save_freq instead", 0, None),
    idle("ray_wait_register_center_timeout", "set trainer.call_timeout instead", 300),
    always("v1.trainer_mode", "training is synchronous for now; leave it out", "sync"),
    always("v1.**", "read only in asynchronous training"),
    idle("{profile_steps,profile_interval}", _NO_PROFILER, None),
]
_SFT_DATA = [
    always("{multiturn.enable,pad_mode,ignore_input_ids_mismatch}", "a row with messages is a conversation"),
    idle("balance_dp_token", "rows are packed by length on every device", False),
    refused("{prompt_dict_keys,response_dict_keys}", "name flat columns by data.prompt_key and data.response_key"),
    refused("chat_template", "put the template into the model's tokenizer_config.json"),
    always("{tools_key,enable_thinking_key,enable_thinking_default}", "set data.apply_chat_template_kwargs instead"),
]
_RUN = [
    refused("ray_kwargs.timeline_json_file", _NOT_BUILT),
    idle("ray_kwargs.ray_init.runtime_env.**", "workers inherit the driver's environment", None),
    idle("hydra.**", "Hydra's own folders are not used; outputs go to trainer.default_local_dir"),
    idle("{global_profiler,profiler,**.profiler}.**", _NO_PROFILER),
    *under("trainer", _TRAINER),
]

RULES: dict[type, list[Rule]] = {
    PPOConfig: [
        *_RUN,
        *under("data", _DATA),
        always("actor_rollout_ref.hybrid_engine", "rollout and training share the devices for now; leave it out", True),
        *under("actor_rollout_ref.model", _MODEL),
        *under("actor_rollout_ref.actor.optim", _OPTIM),
        *under("actor_rollout_ref.{actor,ref}.fsdp_config", _FSDP),
        *under("actor_rollout_ref.actor.checkpoint", _CHECKPOINT),
        *under("actor_rollout_ref.{actor,ref}", _ROLE),
        *under("actor_rollout_ref.actor", _ACTOR),
        *under("actor_rollout_ref.ref", _REF),
        *under("critic", _CRITIC),
        *under("critic.model", _MODEL),
        *under("critic.optim", _OPTIM),
        *under("critic.model.fsdp_config", _FSDP),
        *under("critic.checkpoint", _CHECKPOINT),
        *under("critic", _ROLE),
        *under("actor_rollout_ref.rollout", _ROLLOUT),
        *under("algorithm", _ALGORITHM),
        *under("reward_model", _REWARD_MODEL),
        *under("reward", _REWARD),
        refused("{distillation.enabled,transfer_queue.enable,skip.*.enable}", _NOT_BUILT, False),
        always("{distillation,transfer_queue,skip}.**", "read only with the feature on"),
    ],
    SFTConfig: [
        *_RUN,
        *under("data", _DATA),
        *under("data", _SFT_DATA),
        *under("model", _MODEL),
        *under("optim", _OPTIM),
        *under("fsdp_config", _FSDP),
        *under("checkpoint", _CHECKPOINT),
        always("trainer.log_val_generations", "validation measures the loss, it writes no answers", 0, idle=ANY),
        always("use_remove_padding", "rows are always packed", True, idle=(False,)),
        always("ulysses_sequence_parallel_size", FOLDED, 1, idle=ANY),
    ],
}

# Keys with a meaning on CUDA devices only, and what a CPU does instead.
DEVICE_KEYS: dict[str, str] = {
    "actor_rollout_ref.rollout.gpu_memory_utilization":
        "replicas take the memory they need",
    "actor_rollout_ref.rollout.tensor_model_parallel_size":
        "each replica is one process",
    "actor_rollout_ref.rollout.free_cache_engine":
        "replicas keep their memory",
    **dict.fromkeys((
        "actor_rollout_ref.actor.fsdp_config.param_offload",
        "actor_rollout_ref.actor.fsdp_config.optimizer_offload",
        "actor_rollout_ref.ref.fsdp_config.param_offload",
        "actor_rollout_ref.model.enable_activation_offload",
        "critic.model.fsdp_config.param_offload",
        "critic.model.fsdp_config.optimizer_offload",
        "critic.model.enable_activation_offload",
        "fsdp_config.param_offload",
        "fsdp_config.optimizer_offload",
        "model.enable_activation_offload",
    ), "its memory is the host's"),
}


@functools.cache
def find_rule(root: type, name: str) -> Rule | None:
    """The row that decides about the key called `name`."""
    return next((rule for rule in RULES[root] if rule.matches(name)), None)


def field_of(root: type, name: str) -> Key | None:
    """The field that takes `name`: its own, or that of the open dict above it."""
    rows = schema(root)
    parts = name.split(".")
    above = (rows.get(".".join(parts[:i])) for i in range(1, len(parts)))
    return rows.get(name) or next((row for row in above if row is not None and row.is_open), None)


def state_of(root: type, name: str) -> State | None:
    """The state of a key; None if it is unknown."""
    if new_name(root, name):
        return State.RENAMED
    if name in DEVICE_KEYS and name in schema(root):
        return State.NOT_ON_DEVICE
    rule = find_rule(root, name)
    if rule:
        return rule.state
    return State.WORKS if field_of(root, name) else None


def refusal(root: type, name: str, value: Any) -> str | None:
    """Why the table does not accept a value; None if it does."""
    rule = find_rule(root, name)
    return None if rule is None or value in rule.fine or value in rule.idle else rule.why


def not_on_device(config: PPOConfig | SFTConfig, device: str) -> list[str]:
    """What the config asks for that `device` ("cuda" or "cpu") does not have: a line per key, to print at the start."""
    if device == "cuda":
        return []
    rows = schema(type(config))
    return [
        f"{name}={select(config, name)} means nothing on {device}: {instead}" for name, instead in DEVICE_KEYS.items()
        if name in rows and select(config, name) != rows[name].default
    ]
