#!/usr/bin/env bash
# Installs what the tests need into .venv, checks format, lint and layering, then runs pytest (its arguments may follow).
set -euo pipefail
cd "$(dirname "$0")/.."

code="verl reward_score scripts bench tests setup.py"
bash scripts/install.sh math cpu data dev
source .venv/bin/activate
# shellcheck disable=SC2086
yapf --diff --parallel --recursive $code || { echo "yapf: run yapf -i -r on these files" >&2; exit 1; }
# shellcheck disable=SC2086
ruff check --quiet $code
lint-imports
python -m pytest "$@"
