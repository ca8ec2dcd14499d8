#!/usr/bin/env bash
# Runs on the first node of a job (in its container, where there is one): starts Ray's head, waits for NODE_COUNT nodes, runs the
# given command on the cluster and ends with its exit code. Ray and the command end together. Settings: ray_utils/start_ray.sh.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export RAY_HEAD_FILE=${RAY_HEAD_FILE:?} NODE_COUNT=${NODE_COUNT:?}
say() { echo "head_node: $*" >&2; }

stop() {
  trap '' TERM INT HUP
  for pid in ${check:-} ${driver:-} ${head:-}; do kill "$pid" 2>/dev/null || true; done
  wait
}
trap stop EXIT
trap 'exit 143' TERM INT HUP

RANK=0 RAY_BLOCK=1 bash "$repo/ray_utils/start_ray.sh" & head=$!
until [ -f "$RAY_HEAD_FILE" ]; do
  kill -0 "$head" 2>/dev/null || { say "Ray's head did not start on $(hostname)"; exit 1; }
  sleep 0.2
done
read -r RAY_ADDRESS _ < "$RAY_HEAD_FILE"
export RAY_ADDRESS
bash "$repo/ray_utils/check_ray.sh" "$NODE_COUNT" nodes & check=$! # in the background, so that a signal is not kept waiting
wait "$check"

"$@" & driver=$!
while kill -0 "$driver" 2>/dev/null; do
  kill -0 "$head" 2>/dev/null || { say "Ray's head ended on $(hostname) while the job ran"; exit 1; }
  sleep 1
done
status=0
wait "$driver" || status=$?
driver=""
exit "$status"
