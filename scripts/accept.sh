#!/usr/bin/env bash
# Long proofs of one part, run before it is called done: bash scripts/accept.sh NAME (bench/accept_NAME.py).
# Results are JSON files under bench/, each with its command.
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:?"which part? one of: $(cd bench && echo accept_*.py | sed 's/accept_//g; s/\.py//g')"}
[ -f "bench/accept_$name.py" ] || { echo "no bench/accept_$name.py" >&2; exit 2; }
bash scripts/install.sh math cpu data viewer dev
exec .venv/bin/python -m "bench.accept_$name" "${@:2}"
