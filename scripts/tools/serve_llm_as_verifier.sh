#!/usr/bin/env bash
# Serves the judge of free-form answers (data_source stem_web and the like) with vLLM, and says how training is told of it.
#   sbatch scripts/tools/serve_llm_as_verifier.sh        bash scripts/tools/serve_llm_as_verifier.sh [vllm options]
# The judge has no password: keep its port inside the cluster, or add --api-key and set STEM_LLM_JUDGE_API_KEY for the training.
#SBATCH --job-name=llm-as-verifier
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:8
#SBATCH --cpus-per-task=32
#SBATCH --mem=256G
#SBATCH --output=%x-%j.out
#SBATCH --error=%x-%j.err
set -euo pipefail

# ---- settings ----
MODEL=${MODEL:-TIGER-Lab/general-verifier} # local folder, or hub id
REPLICAS=${REPLICAS:-${SLURM_GPUS_ON_NODE:-8}} # one per GPU
PORT=${PORT:-8000}
HOST=${HOST:-0.0.0.0}
VLLM=${CONDA_BIN_PATH:+${CONDA_BIN_PATH%/}/}vllm

command=("$VLLM" serve "$MODEL" "--host=$HOST" "--port=$PORT" "--data-parallel-size=$REPLICAS" --served-model-name TIGER-Lab/general-verifier "$@")
echo "for the training: export STEM_LLM_JUDGE_URL=http://$(hostname -f 2> /dev/null || hostname):$PORT" >&2
if [ -n "${DRY_RUN:-}" ]; then printf '%q ' "${command[@]}"; echo; exit; fi
command -v "$VLLM" > /dev/null || { echo "there is no $VLLM: pip install -e '.[gpu]', or set CONDA_BIN_PATH" >&2; exit 2; }
exec "${command[@]}"
