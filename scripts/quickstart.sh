#!/usr/bin/env bash
# From nothing to a model that reinforcement learning has improved: installs into .venv, warms up a small model, trains it with GRPO.
#   bash scripts/quickstart.sh [hydra overrides]      e.g. actor_rollout_ref.rollout.name=vllm  trainer.n_gpus_per_node=2
# Outputs are under outputs/quickstart. Run again, it skips what is done.
set -euo pipefail
cd "$(dirname "$0")/.."

extras="math"
for argument in "$@"; do
  [ "${argument#+}" = actor_rollout_ref.rollout.name=vllm ] && extras="math cpu"
done
if command -v nvidia-smi >/dev/null 2>&1; then extras=${extras/cpu/gpu}; fi

started=$SECONDS
# shellcheck disable=SC2086
bash scripts/install.sh $extras
export QUICKSTART_SECONDS_INSTALL=$((SECONDS - started))
exec .venv/bin/python scripts/quickstart/run.py "$@"
