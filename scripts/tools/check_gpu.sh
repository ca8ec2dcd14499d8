#!/usr/bin/env bash
# Looks whether this machine's GPUs are there and free: bash scripts/tools/check_gpu.sh [N]
# Fails when there are fewer than N, when one does not answer, or when a process holds one's memory; names the process and its user.
set -euo pipefail

wanted=${1:-1}
[[ $wanted =~ ^[0-9]+$ ]] || { echo "usage: check_gpu.sh [N]" >&2; exit 2; }
say() { echo "check_gpu: $(hostname): $*" >&2; }
command -v nvidia-smi > /dev/null || { say "there is no nvidia-smi here"; exit 1; }

gpus=$(timeout 60 nvidia-smi --query-gpu=index,name --format=csv,noheader) || { say "nvidia-smi failed: ${gpus:-no answer within 60 s}"; exit 1; }
found=$(grep -c . <<< "$gpus" || true)
((found >= wanted)) || { say "$found GPUs, $wanted are wanted"; exit 1; }

busy=$(timeout 60 nvidia-smi --query-compute-apps=pid,used_memory,process_name --format=csv,noheader) || { say "nvidia-smi cannot list processes: $busy"; exit 1; }
if [ -n "$busy" ]; then
  while IFS=', ' read -r pid rest; do
    say "in use by process $pid of $(ps -o user= -p "$pid" 2> /dev/null || echo "another container"): $rest"
  done <<< "$busy"
  exit 1
fi
say "$found GPUs are free"
