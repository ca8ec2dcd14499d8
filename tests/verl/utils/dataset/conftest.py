import json

import pandas as pd
import pytest

from verl.config.data import DataConfig
from verl.config.sft import SFTDataConfig


@pytest.fixture
def data_config():
    return DataConfig


@pytest.fixture
def sft_config():
    return SFTDataConfig


@pytest.fixture
def write(tmp_path):
    """Writes rows to a file of the kind its name says; returns the path as a string."""

    def write_file(name, rows):
        path = tmp_path / name
        if path.suffix == ".parquet":
            pd.DataFrame(rows).to_parquet(path)
        elif path.suffix == ".json":
            path.write_text(json.dumps(rows))
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write_file


def make_row(i=0, prompt="1+1", ground_truth="2", data_source="math", **more):
    return {
        "data_source": data_source,
        "prompt": [{
            "role": "user",
            "content": prompt
        }],
        "reward_model": {
            "style": "rule",
            "ground_truth": ground_truth
        },
        "extra_info": {
            "index": i,
            "split": "train"
        },
        **more
    }


@pytest.fixture(name="make_row")
def make_row_fixture():
    return make_row
