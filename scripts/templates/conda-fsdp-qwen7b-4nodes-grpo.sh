#!/usr/bin/env bash
# GRPO of Qwen2.5-7B-Instruct on 4 nodes of 8 GPUs, FSDP, in a conda environment: sbatch scripts/templates/conda-fsdp-qwen7b-4nodes-grpo.sh
#SBATCH --job-name=conda-fsdp-qwen7b-4nodes-grpo
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:8
#SBATCH --cpus-per-task=32
#SBATCH --mem=512G
#SBATCH --exclusive
#SBATCH --output=%x-%j.out
#SBATCH --error=%x-%j.err
#SBATCH --open-mode=append
#SBATCH --requeue
set -euo pipefail

# ---- settings: edit, or set in the environment; key=value arguments go last and win ----
export BASE_MODEL=${BASE_MODEL:-Qwen/Qwen2.5-7B-Instruct} # local folder, or hub id
export DATA_DIR=${DATA_DIR:-data}
TRAIN_FILES=${TRAIN_FILES:-$DATA_DIR/train/math__*.parquet} # patterns, separated by blanks
VAL_FILES=${VAL_FILES:-$DATA_DIR/test/math__*.parquet}
EXPERIMENT=${EXPERIMENT:-grpo-$(basename "$BASE_MODEL")} # the same name resumes the same run
LOGGER=${LOGGER:-[console,wandb]}
NNODES=${SLURM_NNODES:-${NNODES:-4}}
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
# CONDA_BIN_PATH: folder of python, if it is neither in .venv nor on PATH

repo=$(dirname "${BASH_SOURCE[0]}")/../..
[ -f "$repo/scripts/ray/slurm_ray.sh" ] || repo=${SLURM_SUBMIT_DIR:?} # SLURM runs a copy: submit from the repository
# shellcheck source=scripts/ray/slurm_ray.sh
source "$repo/scripts/ray/slurm_ray.sh"

# shellcheck disable=SC2086 # patterns are to be split
train_files=$(file_list $TRAIN_FILES)
# shellcheck disable=SC2086
val_files=$(file_list $VAL_FILES)
launch \
  algorithm.adv_estimator=grpo \
  algorithm.kl_ctrl.kl_coef=0.001 \
  data.train_files="$train_files" \
  data.val_files="$val_files" \
  data.train_batch_size=128 \
  data.val_batch_size=2048 \
  data.max_prompt_length=1024 \
  data.max_response_length=3072 \
  data.filter_overlong_prompts=True \
  actor_rollout_ref.model.path="$BASE_MODEL" \
  actor_rollout_ref.model.enable_gradient_checkpointing=True \
  actor_rollout_ref.actor.optim.lr=1e-6 \
  actor_rollout_ref.actor.ppo_mini_batch_size=128 \
  actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=32 \
  actor_rollout_ref.actor.use_kl_loss=True \
  actor_rollout_ref.actor.kl_loss_coef=0.001 \
  actor_rollout_ref.actor.kl_loss_type=low_var_kl \
  actor_rollout_ref.actor.ulysses_sequence_parallel_size=1 \
  actor_rollout_ref.ref.fsdp_config.param_offload=True \
  actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=32 \
  actor_rollout_ref.rollout.name=vllm \
  actor_rollout_ref.rollout.n=64 \
  actor_rollout_ref.rollout.tensor_model_parallel_size=4 \
  actor_rollout_ref.rollout.gpu_memory_utilization=0.6 \
  actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=32 \
  trainer.project_name=Reasoning360 \
  trainer.experiment_name="$EXPERIMENT" \
  trainer.logger="$LOGGER" \
  trainer.val_before_train=False \
  trainer.nnodes="$NNODES" \
  trainer.n_gpus_per_node="$GPUS_PER_NODE" \
  trainer.save_freq=3 \
  trainer.test_freq=3 \
  trainer.total_epochs=5 \
  "$@"
