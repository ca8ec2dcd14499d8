"""Rules of the house that no linter keeps."""
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("verl", "reward_score", "data_preprocess", "data_analysis", "viewer")
LONGEST = 300  # lines of a source file
# In parts, so that this file does not break its own rules.
MACHINE_PATHS = tuple("/" + name + "/" for name in ("root", "work", "home"))
REGISTRIES = tuple(host + ".org" for host in ("pypi", "pythonhosted", "download.pytorch", "anaconda", "npmjs"))


def files(*patterns):
    """Everything that git tracks or would track."""
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard", *patterns],
                            cwd=ROOT, capture_output=True, text=True, check=True)  # yapf: disable
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def texts():
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: what belongs to the project is not known")
    return {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in files()}


def test_the_list_of_files_is_whole(texts):
    assert {Path("setup.py"),
            Path("verl/protocol.py"),
            Path("scripts/quickstart.sh"),
            Path("tests/test_house.py")} <= set(texts)


def test_source_files_have_one_job(texts):
    long = {str(path): len(text.splitlines()) for path, text in texts.items()
            if path.suffix == ".py" and path.parts[0] in (*PACKAGES, "scripts", "bench")
            and len(text.splitlines()) > LONGEST}  # yapf: disable
    assert not long


@pytest.mark.parametrize("words", [MACHINE_PATHS, REGISTRIES], ids=["machine paths", "registries"])
def test_nothing_points_to_one_machine_or_registry(texts, words):
    lines = ((path, number, line) for path, text in texts.items() for number, line in enumerate(text.splitlines(), 1))
    assert not [f"{path}:{number}: {line[:100]}" for path, number, line in lines if any(word in line for word in words)]


def test_every_package_says_what_it_is(texts):
    folders = {path.parent for path in texts if path.suffix == ".py" and path.parts[0] in PACKAGES}
    silent = [str(folder) for folder in folders
              if not texts.get(folder / "__init__.py", "").startswith('"""')]  # yapf: disable
    assert not silent


@pytest.mark.parametrize("module, absent", [
    ("verl", ("torch", "ray", "transformers", "numpy")),
    ("verl.config", ("torch", "ray", "transformers")),
    ("verl.trainer.main_ppo", ("torch", "transformers")),
    ("verl.protocol", ("torch", "ray", "transformers")),
    ("reward_score", ("torch", "ray", "transformers", "reasoning_gym", "math_verify")),
])
def test_what_starts_fast_imports_nothing_heavy(module, absent):
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {set(absent)}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
