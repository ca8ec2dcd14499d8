#!/usr/bin/env bash
# Has a model answer the splits that transform_dataset.py made: one SLURM job per split, watched, failed ones submitted again.
#   bash data_analysis/sgl_generate.sh            the jobs are in temp_job_scripts/, their ids in sgl_job_ids.txt; an id added there
#                                                 by hand is watched too. Stopped and started again it goes on
#   bash data_analysis/sgl_generate.sh --local    here, without SLURM, with our own rollout engine
# Further arguments go to `python -m data_analysis launch` (--help lists them). Settings:
set -euo pipefail

DATA=${DATA:-big-math-rl-verified_problems}   # --output of transform_dataset.py
MODEL=${MODEL:-Qwen/Qwen2.5-7B-Instruct}      # folder or hub id
ENGINE=${ENGINE:-sglang}                      # sglang | vllm
N=${N:-32}                                    # answers per request
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
TENSOR_PARALLEL=${TENSOR_PARALLEL:-1}         # GPUs that share one copy of the model; the copies split the requests
SBATCH_ARGS=${SBATCH_ARGS:-}                  # e.g. "--partition=main --time=24:00:00"
SERVER_ARGS=${SERVER_ARGS:-}                  # e.g. "--mem-fraction-static 0.8"
SERVER_COMMAND=${SERVER_COMMAND:-}            # starts the server instead of ENGINE, e.g. in a container; may use $PORT and $MODEL
MAX_RESUBMIT=${MAX_RESUBMIT:-3}
POLL_SECONDS=${POLL_SECONDS:-30}
# CONDA_BIN_PATH, PYTHON: the interpreter, which has the engine.     DRY_RUN=1: print a job and every command, run none.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${CONDA_BIN_PATH:+${CONDA_BIN_PATH%/}/}
[ -n "$folder" ] || [ ! -x "$REPO/.venv/bin/python" ] || folder=$REPO/.venv/bin/
PYTHON=${PYTHON:-${folder}python}
command -v "$PYTHON" > /dev/null || { echo "there is no $PYTHON; set CONDA_BIN_PATH to the folder of python (which python)" >&2; exit 2; }
export PYTHONPATH="$REPO${PYTHONPATH:+:$PYTHONPATH}"
[ -z "${DRY_RUN:-}" ] || set -- --dry-run "$@"

exec "$PYTHON" -m data_analysis launch --data "$DATA" --model "$MODEL" --engine "$ENGINE" --n "$N" --gpus "$GPUS_PER_NODE" \
  --width "$TENSOR_PARALLEL" --slurm="$SBATCH_ARGS" --server-args="$SERVER_ARGS" --server-command="$SERVER_COMMAND" \
  --retries "$MAX_RESUBMIT" --poll "$POLL_SECONDS" --python "$(command -v "$PYTHON")" "$@"
