#!/usr/bin/env bash
# PPO of DeepSeek-R1-Distill-Qwen-32B on 16 nodes of 8 GPUs, in containers: sbatch scripts/templates/docker-megatron-dsr1_qwen_32b-16nodes-ppo.sh
#
# There is no Megatron engine yet. What runs until it lands is FSDP2 over all 128 GPUs (tensor and pipeline sizes fold into it).
#SBATCH --job-name=docker-megatron-dsr1_qwen_32b-16nodes-ppo
#SBATCH --nodes=16
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:8
#SBATCH --cpus-per-task=64
#SBATCH --mem=512G
#SBATCH --exclusive
#SBATCH --output=%x-%j.out
#SBATCH --error=%x-%j.err
#SBATCH --open-mode=append
#SBATCH --requeue
set -euo pipefail

# ---- settings: edit, or set in the environment; key=value arguments go last and win ----
export BASE_MODEL=${BASE_MODEL:-deepseek-ai/DeepSeek-R1-Distill-Qwen-32B} # local folder, or hub id
export DATA_DIR=${DATA_DIR:-data}
TRAIN_FILES=${TRAIN_FILES:-$DATA_DIR/train/math__*.parquet} # patterns, separated by blanks
VAL_FILES=${VAL_FILES:-$DATA_DIR/test/math__*.parquet}
EXPERIMENT=${EXPERIMENT:-ppo-$(basename "$BASE_MODEL")} # the same name resumes the same run
LOGGER=${LOGGER:-[console,wandb]}
NNODES=${SLURM_NNODES:-${NNODES:-16}}
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
export CONTAINER=${CONTAINER:-pyxis} # or docker, apptainer
export CONTAINER_IMAGE=${CONTAINER_IMAGE:-$PWD/reasoning360.sqsh} # docker/Dockerfile says how it is made
ADV_ESTIMATOR=${ADV_ESTIMATOR:-gae}
ROLLOUT_N=${ROLLOUT_N:-1}

repo=$(dirname "${BASH_SOURCE[0]}")/../..
[ -f "$repo/scripts/ray/slurm_ray.sh" ] || repo=${SLURM_SUBMIT_DIR:?} # SLURM runs a copy: submit from the repository
# shellcheck source=scripts/ray/slurm_ray.sh
source "$repo/scripts/ray/slurm_ray.sh"

say "there is no Megatron engine yet: this runs FSDP2 over all $NNODES x $GPUS_PER_NODE GPUs"
# shellcheck disable=SC2086 # patterns are to be split
train_files=$(file_list $TRAIN_FILES)
# shellcheck disable=SC2086
val_files=$(file_list $VAL_FILES)
launch \
  algorithm.adv_estimator="$ADV_ESTIMATOR" \
  algorithm.kl_ctrl.kl_coef=0.001 \
  data.train_files="$train_files" \
  data.val_files="$val_files" \
  data.train_batch_size=512 \
  data.max_prompt_length=1024 \
  data.max_response_length=8192 \
  data.filter_overlong_prompts=True \
  actor_rollout_ref.model.path="$BASE_MODEL" \
  actor_rollout_ref.model.enable_gradient_checkpointing=True \
  actor_rollout_ref.actor.strategy=megatron \
  actor_rollout_ref.actor.megatron.tensor_model_parallel_size=8 \
  actor_rollout_ref.actor.megatron.pipeline_model_parallel_size=8 \
  actor_rollout_ref.actor.megatron.sequence_parallel=True \
  actor_rollout_ref.actor.optim.lr=1e-6 \
  actor_rollout_ref.actor.ppo_mini_batch_size=128 \
  actor_rollout_ref.actor.use_dynamic_bsz=True \
  actor_rollout_ref.actor.ppo_max_token_len_per_gpu=18432 \
  actor_rollout_ref.rollout.name=vllm \
  actor_rollout_ref.rollout.n="$ROLLOUT_N" \
  actor_rollout_ref.rollout.tensor_model_parallel_size=8 \
  actor_rollout_ref.rollout.gpu_memory_utilization=0.6 \
  critic.optim.lr=1e-5 \
  critic.model.path="$BASE_MODEL" \
  critic.megatron.tensor_model_parallel_size=8 \
  critic.megatron.pipeline_model_parallel_size=8 \
  trainer.project_name=Reasoning360 \
  trainer.experiment_name="$EXPERIMENT" \
  trainer.logger="$LOGGER" \
  trainer.val_before_train=False \
  trainer.nnodes="$NNODES" \
  trainer.n_gpus_per_node="$GPUS_PER_NODE" \
  trainer.save_freq=25 \
  trainer.test_freq=5 \
  trainer.total_epochs=5 \
  "$@"
