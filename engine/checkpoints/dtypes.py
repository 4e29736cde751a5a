"""The tensor dtypes of the safetensors format: size, whether they hold weights, torch's name, the name people use.

Source: the safetensors format's ``Dtype`` enumeration, and ``torch.dtype``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DtypeInfo:
    """One dtype.

    Attributes:
        bits: of one value.
        torch_name: the attribute of the torch module.
        is_weight: whether it is a plain real floating-point type.
        title: what people call it; empty for the format's own name in small letters.
    """

    bits: int
    torch_name: str
    is_weight: bool
    title: str = ""


DTYPES: dict[str, DtypeInfo] = {
    "F64": DtypeInfo(64, "float64", True, "fp64"),
    "F32": DtypeInfo(32, "float32", True, "fp32"),
    "F16": DtypeInfo(16, "float16", True, "fp16"),
    "BF16": DtypeInfo(16, "bfloat16", True, "bf16"),
    "F8_E4M3": DtypeInfo(8, "float8_e4m3fn", True, "fp8"),
    "F8_E5M2": DtypeInfo(8, "float8_e5m2", True, "fp8"),
    "F8_E4M3FNUZ": DtypeInfo(8, "float8_e4m3fnuz", True),
    "F8_E5M2FNUZ": DtypeInfo(8, "float8_e5m2fnuz", True),
    # An exponent only: the scale of a block of smaller numbers, never a weight by itself.
    "F8_E8M0": DtypeInfo(8, "float8_e8m0fnu", False),
    # Two numbers in a byte; always with block scales beside them.
    "F4": DtypeInfo(4, "float4_e2m1fn_x2", False),
    "C64": DtypeInfo(64, "complex64", False),
    "I64": DtypeInfo(64, "int64", False),
    "I32": DtypeInfo(32, "int32", False),
    "I16": DtypeInfo(16, "int16", False),
    "I8": DtypeInfo(8, "int8", False),
    "U64": DtypeInfo(64, "uint64", False),
    "U32": DtypeInfo(32, "uint32", False),
    "U16": DtypeInfo(16, "uint16", False),
    "U8": DtypeInfo(8, "uint8", False),
    "BOOL": DtypeInfo(8, "bool", False),
}


def dtype_title(name: str) -> str:
    """What people call a dtype: ``fp16``, ``fp8``, ``i64``; what is none of these as its container does: ``Q4_K``."""
    info = DTYPES.get(name)
    return name if info is None else info.title or name.lower()
