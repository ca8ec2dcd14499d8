"""Splits a dataset into OpenAI-batch requests: --dataset ID_OR_FILES --output FOLDER --splits 64"""

import argparse
import sys

from data_analysis.transform import add_flags, report, transform

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    add_flags(parser)
    flags = parser.parse_args()
    try:
        print(report(transform(flags), flags.output))
    except ValueError as error:
        sys.exit(f"transform_dataset.py: {error}")
