"""Products that decide accuracy are float32, whichever kernel computes them; low precision is where it is native."""

from __future__ import annotations

import pytest
import torch
from model_files import random_tensor

from engine.decompose import products
from engine.devices.device import exact_float32

KERNELS = [True, False]


def relative_error(rows: torch.Tensor, matrix: torch.Tensor) -> float:
    exact = rows.double() @ matrix.double().T
    with exact_float32():
        return float(
            torch.linalg.norm(products.exact_product(rows, matrix).double() - exact) / torch.linalg.norm(exact)
        )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("rows", "matrix", "inner"), [(1, 1, 1), (5, 7, 3), (32, 300, 1000), (130, 64, 2048)])
def test_an_exact_product_is_right_to_float32(
    rows: int, matrix: int, inner: int, kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernel:
        monkeypatch.setattr(products, "_has_avx512_kernel", lambda: False)
    left, right = random_tensor(rows, inner, seed=1), random_tensor(matrix, inner, seed=2)
    assert relative_error(left, right) < 2e-6


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_exact_product_takes_transposed_matrices(kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kernel:
        monkeypatch.setattr(products, "_has_avx512_kernel", lambda: False)
    left, right = random_tensor(200, 24, seed=1).T, random_tensor(200, 90, seed=2).T
    assert relative_error(left, right) < 2e-6


def test_a_kernel_that_is_not_there_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object) -> torch.Tensor:
        raise AttributeError("no such operator")

    products._has_avx512_kernel.cache_clear()
    monkeypatch.setattr(products, "_processor", lambda: {"avx512_f": True})
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", missing)
    try:
        assert not products._has_avx512_kernel()
    finally:
        products._has_avx512_kernel.cache_clear()


@pytest.mark.parametrize(
    ("able", "dtype"),
    [({}, torch.float32), ({"avx512_bf16": True}, torch.bfloat16), ({"amx_bf16": True}, torch.bfloat16)],
)
def test_a_sketch_is_in_bfloat16_only_where_the_processor_multiplies_it(
    able: dict[str, bool], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    products.fast_dtype.cache_clear()
    monkeypatch.setattr(products, "_processor", lambda: able)
    try:
        assert products.fast_dtype("cpu") is dtype
    finally:
        products.fast_dtype.cache_clear()
