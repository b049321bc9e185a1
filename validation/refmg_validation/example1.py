"""Example 1 of the paper: one stencil restricted, by every named pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refmg import restrict_stencil
from refmg.transfer import TRANSFERS

# As printed, to two decimals.
S_FINE = np.array([[-0.89, -2.03, 4.30], [-2.07, 0.00, -2.07], [4.39, -2.03, 1.28]])
S_COARSE_PRINTED = np.array([[-0.48, -0.17, 0.82], [-0.15, -0.80, 0.37], [0.84, 0.40, 0.07]])
# The printed s_h is wrong by up to 0.005 a tap. No row of the restriction has absolute row sum above
# (3/4 + 1/2 + 1/2)^2 = 49/16, and the printed s_H is rounded by 0.005 again.
PRINTING = 0.005 * (49 / 16 + 1)


@dataclass(frozen=True)
class Comparison:
    """Example 1 under one pair: our coarse stencil, and how far it is from the printed one."""

    transfer: str
    stencil: NDArray[np.float64]
    difference: float

    @property
    def explains(self) -> bool:
        """Whether the rounding of the printed numbers can explain the difference."""
        return self.difference <= PRINTING


def compare(transfer: str) -> Comparison:
    """Restrict the paper's stencil by a pair.

    Parameters
    ----------
    transfer : str
        A named pair.

    Returns
    -------
    Comparison

    Examples
    --------
    >>> print(f"{compare('linear').difference:.5f}", compare("linear").explains)
    0.00625 True
    >>> print(f"{compare('average').difference:.3f}", compare("average").explains)
    1.030 False
    """
    stencil = restrict_stencil(S_FINE, transfer)
    return Comparison(transfer, stencil, float(np.abs(stencil - S_COARSE_PRINTED).max()))


def compare_all() -> list[Comparison]:
    """Restrict the paper's stencil by every named pair."""
    return [compare(name) for name in TRANSFERS]
