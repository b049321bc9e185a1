"""Matrices of fractions with more rows than the small integers that Python keeps once."""

from __future__ import annotations

import numpy as np

from refmg.rational import identity, inverse

N = 260


def test_the_identity_is_one_on_its_diagonal():
    assert np.array_equal(identity(N).astype(int), np.eye(N, dtype=int))


def test_the_inverse_of_a_large_shift_is_its_transpose():
    shift = np.roll(identity(N), 1, axis=0)
    assert np.array_equal(inverse(shift), shift.T)
