"""Pairs of one's own, also one-sided ones, against the definitions written out cell by cell."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from refmg.transfer import TRANSFERS, Taps, TransferPair, named_pair
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix

# First offset and number of weights: on one side of the coarse cell, around it, and far from it.
REACHES = [(0, 1), (0, 4), (0, 7), (-1, 1), (-1, 3), (-3, 3), (-6, 2), (3, 3), (1, 1), (-2, 6)]


def weights(first, count):
    """Distinct weights, so that no two offsets can be taken for each other."""
    return Taps(first, tuple(Fraction(k + 1, 2) for k in range(count)))


def cell(i, n, boundary):
    """Return the cell that cell i of the continued grid is, None where there is zero."""
    if boundary == "zero":
        return i if 0 <= i < n else None
    return i % n if boundary == "periodic" else min(i % (2 * n), 2 * n - 1 - i % (2 * n))


@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize(("first", "count"), REACHES)
def test_r_and_p_of_any_taps_are_their_definitions(first, count, factor, boundary):
    taps, n = weights(first, count), 5
    R, P = np.zeros((2, n, n * factor))
    for coarse in range(-9, n + 9):
        for offset, weight in taps.items():
            fine = factor * coarse + offset
            if 0 <= coarse < n and cell(fine, n * factor, boundary) is not None:
                R[coarse, cell(fine, n * factor, boundary)] += weight
            if 0 <= fine < n * factor and cell(coarse, n, boundary) is not None:
                P[cell(coarse, n, boundary), fine] += weight
    # Halves of small integers: every sum is exact.
    arguments = (n * factor,), lambda f: TransferPair(f, taps, taps), factor, boundary
    assert np.array_equal(restriction_matrix(*arguments).toarray(), R)
    assert np.array_equal(prolongation_matrix(*arguments).toarray(), P.T)


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_composite_is_its_sum_and_has_no_weight_too_many(transfer, factor, stride):
    pair = named_pair(transfer, factor)
    r, p = dict(pair.restriction.items()), dict(pair.prolongation.items())
    found = pair.composite(stride)
    for t in range(-40, 41):
        total = sum(weight * p.get(stride * a - t, 0) for a, weight in r.items())
        assert dict(found.items()).get(t, 0) == total
    # The outermost weights are products of the outermost weights of R and P.
    assert found.weights[0] == pair.restriction.weights[0] * pair.prolongation.weights[-1]
    assert found.weights[-1] == pair.restriction.weights[-1] * pair.prolongation.weights[0]
