#!/usr/bin/env bash
# Waits until Ray has N of something, showing what there is: bash ray_utils/check_ray.sh N [gpus|cpus|nodes]
#   N is the least number wanted; gpus is the default (machines x GPUs of each).
#   RAY_START_TIMEOUT   seconds to wait: 360          RAY_ADDRESS   the cluster: this machine's
#   RAY_EXPECTED_NODES  host names; those that are missing at the end are named         PYTHON   the interpreter that has Ray
set -euo pipefail
[[ ${1:-} =~ ^[0-9]+$ ]] || { echo "usage: check_ray.sh N [gpus|cpus|nodes]" >&2; exit 2; }
exec "${PYTHON:-python3}" "$(dirname "${BASH_SOURCE[0]}")/check_ray.py" "$1" "${2:-gpus}"
