"""``python -m benchmarks.merges``: how much of a model a mean of its relatives explains, of merges and of fine-tunes.

A small network is trained on digits, then fine-tuned on six variants of the task. What a mean of these and of the base
explains of the distance to the nearest is printed for: each fine-tune among the others, a second run of its task, runs
that go on from a fine-tune, merges, and runs that go on from a merge. All are stored in bf16. The threshold of
`engine.analysis.merge_fit` lies between them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

from engine.analysis.merge_fit import EXPLAINED, EXPLAINED_OUTSIDE, MergeFit, fit_by_steps, steps_of

Data = tuple[torch.Tensor, torch.Tensor]
Row = tuple[str, str, bool, float]


def network() -> torch.nn.Module:
    """Four layers, 150,000 parameters."""
    layers: list[torch.nn.Module] = []
    for columns, rows in ((64, 256), (256, 256), (256, 256)):
        layers += [torch.nn.Linear(columns, rows), torch.nn.GELU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(256, 10))


def trained(model: torch.nn.Module, data: Data, steps: int, rate: float, seed: int) -> torch.nn.Module:
    """A copy of a model after some steps of AdamW."""
    model = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    inputs, wanted = data
    for _ in range(steps):
        batch = torch.randint(len(inputs), (64,), generator=generator)
        loss = torch.nn.functional.cross_entropy(model(inputs[batch]), wanted[batch])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model


def tasks() -> dict[str, Data]:
    """Variants of the digits, the first one that of the base."""
    digits = load_digits()
    inputs = torch.tensor(digits.data / 16, dtype=torch.float32)
    wanted = torch.tensor(digits.target)
    noise = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(3))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    return {
        "base": (inputs, wanted),
        "low digits": (inputs[wanted < 5], wanted[wanted < 5]),
        "high digits": (inputs[wanted >= 5], wanted[wanted >= 5]),
        "other labels": (inputs, (wanted + 1) % 10),
        "inverted": (1 - inputs, wanted),
        "noisy": (inputs + 0.3 * noise, wanted),
        "permuted": (inputs[:, order], wanted),
    }


def mean(*parts: tuple[float, torch.nn.Module]) -> torch.nn.Module:
    """A weighted mean of models."""
    result = copy.deepcopy(parts[0][1])
    with torch.no_grad():
        for target, *others in zip(result.parameters(), *(model.parameters() for _, model in parts), strict=True):
            target.copy_(sum((share * one for (share, _), one in zip(parts, others, strict=True)), torch.zeros(())))
    return result


def numbers(model: torch.nn.Module) -> NDArray[np.float64]:
    """The matrices as bf16 stores them."""
    matrices = [weight.detach().to(torch.bfloat16).double().reshape(-1) for weight in _matrices(model)]
    return torch.cat(matrices).numpy()


def _matrices(model: torch.nn.Module) -> list[torch.Tensor]:
    return [weight for weight in model.parameters() if weight.dim() == 2]


def fitted(model: torch.nn.Module, others: Sequence[torch.nn.Module]) -> MergeFit | None:
    """The mean of others that explains a model."""
    target = numbers(model)
    steps = steps_of(target, "BF16")
    assert steps is not None, "a plain float"
    sizes = [weight.numel() for weight in _matrices(model)]
    starts = [0, *np.cumsum(sizes)[:-1].tolist()]
    return fit_by_steps(target, np.stack([numbers(other) for other in others]), steps, starts)


def rows() -> Iterator[Row]:
    """Kind, what it is, whether it is called a merge, and what the mean explains."""
    data = tasks()
    torch.manual_seed(0)
    base = trained(network(), data["base"], 800, 1e-3, 0)
    tuned = {name: trained(base, data[name], 200, 3e-4, at) for at, name in enumerate(data) if name != "base"}
    everything = {"base": base, **tuned}

    def row(kind: str, title: str, model: torch.nn.Module, others: Mapping[str, torch.nn.Module]) -> Row:
        fit = fitted(model, list(others.values()))
        return kind, title, fit is not None and fit.is_merge, 0.0 if fit is None else fit.explained

    for name, model in tuned.items():
        yield row("fine-tune", name, model, {key: one for key, one in everything.items() if key != name})
    for at, name in enumerate(tuned):
        yield row("second run of a task", name, trained(base, data[name], 200, 3e-4, 50 + at), everything)
    for name, model in tuned.items():
        other = next(one for one in tuned if one != name)
        yield row("trained on", f"{name}, the same", trained(model, data[name], 200, 3e-4, 99), everything)
        yield row("trained on", f"{name}, then {other}", trained(model, data[other], 200, 3e-4, 98), everything)
        yield row("trained on", f"{name}, a little {other}", trained(model, data[other], 40, 1e-4, 97), everything)
    for one, other in pairwise(tuned):
        merge = mean((0.6, tuned[one]), (0.4, tuned[other]))
        yield row("merge", f"0.6 {one}, 0.4 {other}", merge, everything)
        yield row("merge", f"0.9 {one}, 0.1 {other}", mean((0.9, tuned[one]), (0.1, tuned[other])), everything)
        yield row("merge, 20 steps", f"{one}, {other}", trained(merge, data["noisy"], 20, 1e-4, 5), everything)
        yield row("merge, 100 steps", f"{one}, {other}", trained(merge, data["inverted"], 100, 3e-4, 5), everything)
    added = mean((1.0, tuned["low digits"]), (1.0, tuned["inverted"]), (-1.0, base))
    yield row("difference added", "low digits + inverted - base", added, everything)


def main() -> None:
    """Measure and print."""
    found, show = list(rows()), Console().print
    table = Table("kind", "models", "explained", "called merges")
    for kind in dict.fromkeys(row[0] for row in found):
        own = [row for row in found if row[0] == kind]
        explained = sorted(row[3] for row in own)
        called = sum(row[2] for row in own)
        table.add_row(kind, str(len(own)), f"{explained[0]:.3f} to {explained[-1]:.3f}", str(called))
    show(table)
    show(f"called a merge from {EXPLAINED} on, {EXPLAINED_OUTSIDE} where a coefficient is not within 0 and 1")


if __name__ == "__main__":
    main()
