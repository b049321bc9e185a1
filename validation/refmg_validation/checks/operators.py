"""Checks of operators and transfers: the identities of section 3 of the paper."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from refmg import Convolution, StencilMap, prolongation_matrix, restriction_matrix
from refmg.checks import dot_test_operator
from refmg.transfer import TRANSFERS
from refmg_validation.checks.finding import Finding
from refmg_validation.example1 import PRINTING, compare

EPS = float(np.finfo(float).eps)


def operator_checks(seed: int) -> Iterator[Finding]:
    """Yield every finding of the group."""
    rng = np.random.default_rng([seed, 11])
    for boundary in ("periodic", "zero", "reflect"):
        K = Convolution(rng.normal(size=(3, 2, 3, 3)), (6, 5), boundary)
        test = dot_test_operator(K.linear_operator(examples=2), rng)
        yield Finding(f"K and its transpose, {boundary} boundary", test.error, test.bound, "16 sqrt(n) eps")
    explained = compare("linear").difference
    yield Finding(
        "Example 1 by 'linear', against the printed s_H", explained, PRINTING, "two printed decimals"
    )


def transfer_checks(seed: int) -> Iterator[Finding]:
    """Yield every finding of the group."""
    rng = np.random.default_rng([seed, 12])
    for name in TRANSFERS:
        stencil_map = StencilMap(transfer=name)
        t = rng.normal(size=(3, 3))
        back = stencil_map.restrict(stencil_map.prolong(t))
        bound = 9 * EPS * stencil_map.condition_number
        error = float(np.abs(back - t).max() / np.abs(t).max())
        yield Finding(f"{name}: down after up gives the stencil back", error, bound, "9 eps cond")
    R, P = restriction_matrix((8, 8), "average"), prolongation_matrix((8, 8), "average")
    yield Finding("average: R P = I", float(abs(R @ P - np.eye(16)).max()), 0.0, "powers of two, exact")
