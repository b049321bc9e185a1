"""What is no pair of transfers, no weights and no grid."""

import numpy as np
import pytest

from refmg.transfer import TRANSFERS, Taps, named_pair
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg_backends import RefmgError

every_matrix = pytest.mark.parametrize("make", [restriction_matrix, prolongation_matrix])


def test_what_is_no_pair_is_refused_in_words():
    def matrices(f):
        return np.eye(f), np.eye(f)

    def of_factor_3(f):
        return TRANSFERS["linear"](3)

    for transfer, words in [
        (np.eye(2), "found ndarray as the transfer"),
        (matrices, "found tuple from matrices"),
        (of_factor_3, "found TransferPair of factor 3 from of_factor_3"),
    ]:
        with pytest.raises(RefmgError, match=words):
            named_pair(transfer, 2)


@pytest.mark.parametrize("weights", [(), (0.5, 0.5)])
def test_taps_are_fractions(weights):
    with pytest.raises(RefmgError, match=r"expected fractions, such as Fraction\(1, 2\)"):
        Taps(0, weights)


@pytest.mark.parametrize("shape", [8, (), (8, 0)])
@every_matrix
def test_a_grid_is_one_number_an_axis(make, shape):
    with pytest.raises(RefmgError, match=r"found (a )?grid"):
        make(shape)
