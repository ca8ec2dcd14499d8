#!/usr/bin/env bash
# Installs what the tests need into .venv, checks format, lint and layering, then runs pytest (its arguments may follow).
set -euo pipefail
cd "$(dirname "$0")/.."

code="verl reward_score data_preprocess data_analysis viewer ray_utils scripts bench tests data_viewer.py transform_dataset.py setup.py"
bash scripts/install.sh math cpu data viewer wandb dev
# The viewer's pages are tested in a browser; where there is none and none can be had, those tests are skipped.
if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 ||
    echo "chromium cannot be installed: browser tests will be skipped" >&2
fi
if ! command -v shellcheck >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  { apt-get update -qq && apt-get install -y -qq shellcheck; } >/dev/null 2>&1 ||
    echo "shellcheck cannot be installed: its tests will be skipped" >&2
fi
# shellcheck source=/dev/null
source .venv/bin/activate
# shellcheck disable=SC2086
yapf --diff --parallel --recursive $code || { echo "yapf: run yapf -i -r on these files" >&2; exit 1; }
# shellcheck disable=SC2086
ruff check --quiet $code
lint-imports
python -m pytest "$@"
