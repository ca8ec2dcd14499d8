"""Metadata of the package. The dependencies, each with its reason, stand in pyproject.toml."""
import tomllib
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
DEPENDENCIES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["reasoning360"]["dependencies"]

setup(
    name="reasoning360",
    version="0.1.0",
    description="Reinforcement learning of reasoning LLMs on verifiable rewards",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["verl*", "reward_score*", "data_preprocess*", "data_analysis*", "viewer*"]),
    package_data={"verl.config": ["*.yaml"]},
    install_requires=DEPENDENCIES["core"],
    extras_require={
        name: pins for name, pins in DEPENDENCIES.items() if name != "core"
    },
)
