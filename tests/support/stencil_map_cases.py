"""What the tests of maps of stencils share."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from refmg.transfer import TRANSFERS

EPS = np.finfo(np.float64).eps

every_transfer = pytest.mark.parametrize("transfer", TRANSFERS)


def integers(*shape):
    return np.random.default_rng(len(shape)).integers(-9, 10, shape)


def fractions(values):
    """An array of Fraction, so that every map below is exact."""
    return np.vectorize(Fraction, otypes=[object])(np.asarray(values, dtype=object))
