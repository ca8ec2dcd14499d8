import pytest
import torch

from verl.config.engine import DTYPES
from verl.utils.dtypes import to_dtype


def test_every_name_that_the_config_takes_is_known():
    expected = {"32": torch.float32, "64": torch.float64, "bf16": torch.bfloat16, "bfloat16": torch.bfloat16,
                "fp16": torch.float16, "float16": torch.float16}  # yapf: disable
    for name in DTYPES:
        assert to_dtype(name, "cpu") == to_dtype(name, "cuda") == expected.get(name, expected.get(name[-2:])), name


def test_auto_is_half_precision_only_on_cuda():
    assert (to_dtype("auto", "cuda"), to_dtype("auto", "cpu")) == (torch.bfloat16, torch.float32)


def test_the_name_of_a_torch_dtype_is_known():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        assert to_dtype(str(dtype).removeprefix("torch."), "cpu") == dtype


@pytest.mark.parametrize("name", ["int8", "FP32", "", "half"])
def test_an_unknown_name_lists_the_known(name):
    with pytest.raises(ValueError, match=f"unknown dtype '{name}'; choose from auto, fp64, fp32, bf16"):
        to_dtype(name, "cpu")
