"""The override lists of three published kinds of run start unchanged."""
import logging

from verl.config import load_ppo_config

GRPO_7B = """
algorithm.adv_estimator=grpo data.train_files={files}/rows.parquet data.val_files={files}/rows.parquet
data.train_batch_size=1024 data.max_prompt_length=512 data.max_response_length=1024 data.filter_overlong_prompts=True
data.truncation=error actor_rollout_ref.model.path={files}/model actor_rollout_ref.actor.optim.lr=1e-6
actor_rollout_ref.model.use_remove_padding=True actor_rollout_ref.actor.ppo_mini_batch_size=256
actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=40 actor_rollout_ref.actor.use_kl_loss=True
actor_rollout_ref.actor.kl_loss_coef=0.001 actor_rollout_ref.actor.kl_loss_type=low_var_kl
actor_rollout_ref.actor.entropy_coeff=0 actor_rollout_ref.model.enable_gradient_checkpointing=True
actor_rollout_ref.actor.fsdp_config.param_offload=False actor_rollout_ref.actor.fsdp_config.optimizer_offload=False
actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=40 actor_rollout_ref.rollout.tensor_model_parallel_size=2
actor_rollout_ref.rollout.name=vllm actor_rollout_ref.rollout.gpu_memory_utilization=0.6 actor_rollout_ref.rollout.n=5
actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=40 actor_rollout_ref.ref.fsdp_config.param_offload=True
algorithm.use_kl_in_reward=False trainer.critic_warmup=0 trainer.logger=["console","wandb"]
trainer.project_name=verl_grpo_example_gsm8k trainer.experiment_name=qwen2_7b_function_rm trainer.n_gpus_per_node=8
trainer.nnodes=1 trainer.save_freq=20 trainer.test_freq=5 trainer.total_epochs=15 +trainer.val_before_train=False
"""

DAPO_STYLE = """
algorithm.adv_estimator=grpo algorithm.use_kl_in_reward=False algorithm.kl_ctrl.kl_coef=0.0
algorithm.filter_groups.enable=False algorithm.filter_groups.metric=acc algorithm.filter_groups.max_num_gen_batches=10
data.train_files=['{files}/rows.parquet','{files}/rows.parquet'] data.val_files=['{files}/rows.parquet']
data.prompt_key=prompt data.truncation=left data.max_prompt_length=2048 data.max_response_length=8192
data.train_batch_size=512 +data.gen_batch_size=512 actor_rollout_ref.rollout.n=16
actor_rollout_ref.actor.use_kl_loss=False actor_rollout_ref.actor.kl_loss_coef=0.0
actor_rollout_ref.actor.clip_ratio_low=0.2 actor_rollout_ref.actor.clip_ratio_high=0.28
actor_rollout_ref.actor.clip_ratio_c=10.0 actor_rollout_ref.actor.use_dynamic_bsz=True
actor_rollout_ref.ref.log_prob_use_dynamic_bsz=True actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=True
actor_rollout_ref.actor.ppo_max_token_len_per_gpu=20480 actor_rollout_ref.ref.log_prob_max_token_len_per_gpu=30720
actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu=30720 actor_rollout_ref.model.path={files}/model
+actor_rollout_ref.model.override_config.attention_dropout=0. +actor_rollout_ref.model.override_config.embd_pdrop=0.
actor_rollout_ref.actor.optim.lr=1e-6 actor_rollout_ref.actor.optim.lr_warmup_steps=10
actor_rollout_ref.actor.optim.weight_decay=0.1 actor_rollout_ref.actor.optim.warmup_style=constant
actor_rollout_ref.actor.ppo_mini_batch_size=32 actor_rollout_ref.actor.ppo_micro_batch_size=null
actor_rollout_ref.actor.fsdp_config.param_offload=True actor_rollout_ref.actor.fsdp_config.optimizer_offload=True
actor_rollout_ref.actor.entropy_coeff=0 actor_rollout_ref.actor.grad_clip=1.0
actor_rollout_ref.actor.loss_agg_mode=token-mean actor_rollout_ref.actor.ulysses_sequence_parallel_size=4
actor_rollout_ref.rollout.gpu_memory_utilization=0.80 actor_rollout_ref.rollout.enable_chunked_prefill=True
actor_rollout_ref.rollout.max_num_batched_tokens=10240 actor_rollout_ref.rollout.tensor_model_parallel_size=4
actor_rollout_ref.rollout.temperature=1.0 actor_rollout_ref.rollout.top_p=1.0 actor_rollout_ref.rollout.top_k=-1
actor_rollout_ref.rollout.val_kwargs.temperature=1.0 actor_rollout_ref.rollout.val_kwargs.top_p=0.7
actor_rollout_ref.rollout.val_kwargs.do_sample=True actor_rollout_ref.rollout.val_kwargs.n=1
actor_rollout_ref.ref.fsdp_config.param_offload=True actor_rollout_ref.ref.ulysses_sequence_parallel_size=4
actor_rollout_ref.actor.fsdp_config.fsdp_size=-1 reward_model.reward_manager=async_dapo
+reward_model.reward_kwargs.overlong_buffer_cfg.enable=False +reward_model.reward_kwargs.overlong_buffer_cfg.len=4096
+reward_model.reward_kwargs.overlong_buffer_cfg.penalty_factor=1.0 +reward_model.reward_kwargs.max_resp_len=8192
trainer.logger=['console','wandb'] trainer.project_name=DAPO trainer.experiment_name=0519a1 trainer.n_gpus_per_node=8
trainer.nnodes=16 trainer.val_before_train=True trainer.test_freq=5 trainer.save_freq=5 trainer.total_epochs=1
trainer.default_local_dir=/ckpts/${{trainer.project_name}}/dapo trainer.resume_mode=auto
+trainer.val_generations_to_log_to_wandb=30
"""

CONDA_7B_4NODES = """
algorithm.adv_estimator=grpo data.train_files=['{files}/rows.parquet'] data.val_files=['{files}/rows.parquet']
data.train_batch_size=128 data.val_batch_size=2048 data.max_prompt_length=1024 data.max_response_length=3072
actor_rollout_ref.model.path=Qwen/Qwen2.5-7B-Instruct actor_rollout_ref.actor.optim.lr=1e-6
actor_rollout_ref.model.use_remove_padding=True actor_rollout_ref.actor.ppo_mini_batch_size=128
actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=32 actor_rollout_ref.actor.use_kl_loss=True
actor_rollout_ref.actor.kl_loss_coef=0.001 actor_rollout_ref.actor.kl_loss_type=low_var_kl
actor_rollout_ref.model.enable_gradient_checkpointing=True actor_rollout_ref.actor.ulysses_sequence_parallel_size=1
actor_rollout_ref.actor.fsdp_config.param_offload=False actor_rollout_ref.actor.fsdp_config.optimizer_offload=False
actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=32 actor_rollout_ref.rollout.tensor_model_parallel_size=4
actor_rollout_ref.rollout.name=vllm actor_rollout_ref.rollout.gpu_memory_utilization=0.6
actor_rollout_ref.rollout.n=64 actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=32
actor_rollout_ref.ref.fsdp_config.param_offload=True algorithm.kl_ctrl.kl_coef=0.001 trainer.critic_warmup=0
trainer.logger=['console','wandb'] trainer.project_name=Reasoning360 trainer.experiment_name=grpo-Qwen2.5-7B-Instruct-1
+trainer.val_before_train=False trainer.n_gpus_per_node=8 trainer.nnodes=4 trainer.save_freq=3 trainer.test_freq=3
trainer.total_epochs=5
"""


def load(script, files, caplog):
    with caplog.at_level(logging.WARNING):
        config = load_ppo_config(script.format(files=files).split())
    return config, sorted(record.getMessage().rpartition(":")[0] for record in caplog.records)


def test_grpo_7b(files, caplog):
    config, warnings = load(GRPO_7B, files, caplog)
    assert config.actor_rollout_ref.rollout.n == 5
    assert config.trainer.logger == ["console", "wandb"]
    assert config.trainer.val_before_train is False
    assert warnings == [] and config.actor_rollout_ref.ref.fsdp_config.param_offload


def test_dapo_style(files, caplog):
    config, warnings = load(DAPO_STYLE, files, caplog)
    actor = config.actor_rollout_ref.actor
    assert (actor.clip_ratio_low, actor.clip_ratio_high, actor.clip_ratio_c) == (0.2, 0.28, 10.0)
    assert actor.ppo_micro_batch_size_per_gpu is None
    assert config.actor_rollout_ref.model.override_config == {"attention_dropout": 0.0, "embd_pdrop": 0.0}
    shaping = config.reward_model.reward_kwargs
    assert (shaping.overlong_buffer_cfg.len, shaping.overlong_buffer_cfg.enable) == (4096, False)
    assert shaping.max_resp_len == 8192
    assert config.reward_model.reward_manager == "dapo"
    assert config.trainer.default_local_dir == "/ckpts/DAPO/dapo"
    assert config.trainer.log_val_generations == 30
    assert actor.fsdp_config.param_offload and actor.fsdp_config.optimizer_offload
    assert len(warnings) == 4  # two renamed keys; gen_batch_size, sequence parallelism: idle


def test_conda_7b_on_4_nodes(files, caplog):
    config, warnings = load(CONDA_7B_4NODES, files, caplog)
    assert config.data.val_batch_size == 2048
    assert config.actor_rollout_ref.rollout.tensor_model_parallel_size == 4
    assert config.trainer.nnodes * config.trainer.n_gpus_per_node == 32
    assert warnings == []
