"""Names of floating-point types as users write them."""
import torch

_NAMES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "bfloat16": torch.bfloat16,
    **{
        f"float{bits}": getattr(torch, f"float{bits}") for bits in (16, 32, 64)
    },
}


def to_dtype(name: str, device_type: str) -> torch.dtype:
    """`auto` is bfloat16 on CUDA and float32 on the CPU."""
    if name == "auto":
        return torch.bfloat16 if device_type == "cuda" else torch.float32
    if name not in _NAMES:
        raise ValueError(f"unknown dtype {name!r}; choose from auto, {', '.join(_NAMES)}")
    return _NAMES[name]
