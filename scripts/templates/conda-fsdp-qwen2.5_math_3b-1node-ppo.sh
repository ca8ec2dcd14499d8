#!/usr/bin/env bash
# PPO of Qwen2.5-Math-7B (its name says 3b; there is no such model) on one node of 8 GPUs, FSDP, in a conda environment:
#   bash scripts/templates/conda-fsdp-qwen2.5_math_3b-1node-ppo.sh [key=value ...]        or with sbatch
#
#SBATCH --job-name=conda-fsdp-qwen2.5_math_3b-1node-ppo
#SBATCH --nodes=1
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
export BASE_MODEL=${BASE_MODEL:-Qwen/Qwen2.5-Math-7B} # local folder, or hub id
export DATA_DIR=${DATA_DIR:-data}
TRAIN_FILES=${TRAIN_FILES:-$DATA_DIR/train/math__gsm8k_*.parquet $DATA_DIR/train/math__math_*.parquet} # patterns, separated by blanks
VAL_FILES=${VAL_FILES:-$DATA_DIR/test/math__gsm8k_*.parquet $DATA_DIR/test/math__math_*.parquet}
EXPERIMENT=${EXPERIMENT:-ppo-$(basename "$BASE_MODEL")} # the same name resumes the same run
LOGGER=${LOGGER:-[console,wandb]}
NNODES=${SLURM_NNODES:-${NNODES:-1}}
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
# CONDA_BIN_PATH: folder of python, if it is neither in .venv nor on PATH
ADV_ESTIMATOR=${ADV_ESTIMATOR:-gae}
ROLLOUT_N=${ROLLOUT_N:-1}

repo=$(dirname "${BASH_SOURCE[0]}")/../..
[ -f "$repo/scripts/ray/slurm_ray.sh" ] || repo=${SLURM_SUBMIT_DIR:?} # SLURM runs a copy: submit from the repository
# shellcheck source=scripts/ray/slurm_ray.sh
source "$repo/scripts/ray/slurm_ray.sh"

# shellcheck disable=SC2086 # patterns are to be split
train_files=$(file_list $TRAIN_FILES)
# shellcheck disable=SC2086
val_files=$(file_list $VAL_FILES)
launch \
  algorithm.adv_estimator="$ADV_ESTIMATOR" \
  algorithm.kl_ctrl.kl_coef=0.001 \
  data.train_files="$train_files" \
  data.val_files="$val_files" \
  data.train_batch_size=1024 \
  data.max_prompt_length=1024 \
  data.max_response_length=512 \
  data.filter_overlong_prompts=True \
  actor_rollout_ref.model.path="$BASE_MODEL" \
  actor_rollout_ref.model.enable_gradient_checkpointing=True \
  actor_rollout_ref.actor.optim.lr=1e-6 \
  actor_rollout_ref.actor.ppo_mini_batch_size=256 \
  actor_rollout_ref.actor.use_dynamic_bsz=True \
  actor_rollout_ref.rollout.name=vllm \
  actor_rollout_ref.rollout.n="$ROLLOUT_N" \
  actor_rollout_ref.rollout.tensor_model_parallel_size=2 \
  actor_rollout_ref.rollout.gpu_memory_utilization=0.6 \
  critic.optim.lr=1e-5 \
  critic.model.path="$BASE_MODEL" \
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
