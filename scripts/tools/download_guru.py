"""Downloads the Guru data (LLM360/guru-RL-92k), which is ready to train on, into data/{train,online_eval,offline_eval}.

    python scripts/tools/download_guru.py [--data-dir data] [--include 'train/math__*']
"""
import argparse
import sys
from pathlib import Path

REPOSITORY = "LLM360/guru-RL-92k"
PARTS = ("train", "online_eval", "offline_eval")


def wanted(files: list[str], patterns: list[str]) -> list[str]:
    """The parquet files of PARTS that match one of `patterns` (shell wildcards), or all without patterns."""
    found = [f for f in files if f.endswith(".parquet") and f.split("/")[0] in PARTS]
    return sorted(f for f in found if not patterns or any(Path(f).match(pattern) for pattern in patterns))


def download(folder: Path, patterns: list[str], revision: str | None) -> list[Path]:
    """-> the files, which are complete or absent. What is there already is not fetched again."""
    from huggingface_hub import HfApi, hf_hub_download
    files = wanted(HfApi().list_repo_files(REPOSITORY, repo_type="dataset", revision=revision), patterns)
    if not files:
        raise ValueError(f"{REPOSITORY} has no parquet file for {' '.join(patterns) or PARTS}")
    return [
        Path(hf_hub_download(REPOSITORY, file, repo_type="dataset", revision=revision, local_dir=folder))
        for file in files
    ]


def main(argv: list[str]) -> int:
    """-> the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--include", action="append", default=[], metavar="PATTERN", help="e.g. 'train/math__*'")
    parser.add_argument("--revision", help="branch, tag or commit of the dataset")
    options = parser.parse_args(argv)
    try:
        paths = download(options.data_dir, options.include, options.revision)
    except (OSError, ValueError) as error:  # huggingface_hub's errors are of these kinds
        print(f"error: {REPOSITORY} could not be downloaded: {error}", file=sys.stderr)
        return 1
    for path in paths:
        print(f"{path}  {path.stat().st_size:,} bytes")
    print(f"examine them: python -m reward_score.doctor {options.data_dir}/train/*.parquet")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
