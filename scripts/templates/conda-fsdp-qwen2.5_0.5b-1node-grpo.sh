#!/usr/bin/env bash
# GRPO of Qwen2.5-0.5B-Instruct on gsm8k, on the GPUs of one machine (one is enough), in a conda environment or .venv:
#   bash scripts/templates/conda-fsdp-qwen2.5_0.5b-1node-grpo.sh [key=value ...]        GPUS_PER_NODE=4 bash ...        or with sbatch
#SBATCH --job-name=conda-fsdp-qwen2.5_0.5b-1node-grpo
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --output=%x-%j.out
#SBATCH --error=%x-%j.err
#SBATCH --open-mode=append
#SBATCH --requeue
set -euo pipefail

# ---- settings: edit, or set in the environment; key=value arguments go last and win ----
export BASE_MODEL=${BASE_MODEL:-Qwen/Qwen2.5-0.5B-Instruct} # local folder, or hub id
export DATA_DIR=${DATA_DIR:-data}
TRAIN_FILES=${TRAIN_FILES:-$DATA_DIR/train/math__gsm8k_*.parquet} # patterns, separated by blanks
VAL_FILES=${VAL_FILES:-$DATA_DIR/test/math__gsm8k_*.parquet}
EXPERIMENT=${EXPERIMENT:-grpo-$(basename "$BASE_MODEL")} # the same name resumes the same run
LOGGER=${LOGGER:-[console,tensorboard]}
GPUS_PER_NODE=${GPUS_PER_NODE:-1}
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
  data.train_files="$train_files" \
  data.val_files="$val_files" \
  data.train_batch_size=128 \
  data.max_prompt_length=512 \
  data.max_response_length=1024 \
  data.filter_overlong_prompts=True \
  actor_rollout_ref.model.path="$BASE_MODEL" \
  actor_rollout_ref.actor.optim.lr=1e-6 \
  actor_rollout_ref.actor.ppo_mini_batch_size=64 \
  actor_rollout_ref.actor.use_dynamic_bsz=True \
  actor_rollout_ref.actor.use_kl_loss=True \
  actor_rollout_ref.actor.kl_loss_coef=0.001 \
  actor_rollout_ref.rollout.name=vllm \
  actor_rollout_ref.rollout.n=8 \
  actor_rollout_ref.rollout.gpu_memory_utilization=0.4 \
  trainer.project_name=Reasoning360 \
  trainer.experiment_name="$EXPERIMENT" \
  trainer.logger="$LOGGER" \
  trainer.n_gpus_per_node="$GPUS_PER_NODE" \
  trainer.save_freq=20 \
  trainer.test_freq=10 \
  trainer.max_actor_ckpt_to_keep=2 \
  trainer.total_epochs=3 \
  "$@"
