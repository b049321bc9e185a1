"""A prolongation all of whose taps lie far on one side of the coarse cell."""

from fractions import Fraction

import numpy as np
import pytest

from refmg.transfer import Taps, TransferPair
from refmg.transfer_matrix import prolongation_matrix


@pytest.mark.parametrize("first", [4, -7])
def test_taps_beyond_the_next_cells_come_from_the_continued_grid(first):
    count, factor, n = 4, 2, 5
    taps = Taps(first, tuple(Fraction(k + 1, 2) for k in range(count)))
    expected = np.zeros((n * factor, n))
    for fine, coarse in np.ndindex(expected.shape):
        for copy in (coarse - 2 * n, coarse - n, coarse, coarse + n, coarse + 2 * n):
            if 0 <= fine - factor * copy - first < count:
                expected[fine, coarse] += float(taps.weights[fine - factor * copy - first])
    # Halves of small integers: every sum is exact.
    found = prolongation_matrix((n * factor,), lambda f: TransferPair(f, taps, taps), factor, "periodic")
    assert np.array_equal(found.toarray(), expected)
