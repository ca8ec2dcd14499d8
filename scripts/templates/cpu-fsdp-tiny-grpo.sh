#!/usr/bin/env bash
# GRPO of the quick start's small model on CPUs, on any number of nodes; it needs what scripts/quickstart.sh makes.
#   bash scripts/templates/cpu-fsdp-tiny-grpo.sh [key=value ...]        sbatch --nodes=2 scripts/templates/cpu-fsdp-tiny-grpo.sh
#SBATCH --job-name=cpu-fsdp-tiny-grpo
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --output=%x-%j.out
#SBATCH --open-mode=append
#SBATCH --requeue
set -euo pipefail

# ---- settings: edit, or set in the environment; key=value arguments go last and win ----
BASE_MODEL=${BASE_MODEL:-outputs/quickstart/sft/global_step_400/huggingface}
DATA_DIR=${DATA_DIR:-outputs/quickstart/data}
TRAIN_FILES=${TRAIN_FILES:-$DATA_DIR/train.parquet}
VAL_FILES=${VAL_FILES:-$DATA_DIR/held_out.parquet}
EXPERIMENT=${EXPERIMENT:-cpu} # the same name resumes the same run
NNODES=${SLURM_NNODES:-${NNODES:-1}}
WORKERS_PER_NODE=${WORKERS_PER_NODE:-1}
GPUS_PER_NODE=0

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
  data.train_batch_size=32 \
  data.max_prompt_length=40 \
  data.max_response_length=7 \
  actor_rollout_ref.model.path="$BASE_MODEL" \
  actor_rollout_ref.model.enable_gradient_checkpointing=False \
  actor_rollout_ref.actor.optim.lr=2e-4 \
  actor_rollout_ref.actor.optim.lr_warmup_steps=5 \
  actor_rollout_ref.actor.ppo_mini_batch_size=16 \
  actor_rollout_ref.actor.use_dynamic_bsz=True \
  actor_rollout_ref.rollout.name=hf \
  actor_rollout_ref.rollout.n=16 \
  actor_rollout_ref.rollout.batch_size=256 \
  trainer.device=cpu \
  trainer.project_name=Reasoning360 \
  trainer.experiment_name="$EXPERIMENT" \
  trainer.nnodes="$NNODES" \
  trainer.n_gpus_per_node="$WORKERS_PER_NODE" \
  trainer.total_training_steps=30 \
  trainer.save_freq=10 \
  trainer.test_freq=10 \
  trainer.max_actor_ckpt_to_keep=2 \
  "$@"
