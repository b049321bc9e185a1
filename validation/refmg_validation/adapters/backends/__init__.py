"""Every backend of refmg against the suite, by the calls that its users make; ``REFMG_BACKEND`` chooses."""

from __future__ import annotations

from refmg_validation.adapters.backends.blocks import BlockFunctions
from refmg_validation.adapters.backends.grids import GridFunctions
from refmg_validation.adapters.backends.learning import LearningFunctions


class Adapter(GridFunctions, LearningFunctions, BlockFunctions):
    """All functions of the suite, on one backend.

    Parameters
    ----------
    backend : str, optional
        ``REFMG_BACKEND``, else NumPy: with explicit sparse matrices, the reference.

    Examples
    --------
    >>> import numpy as np
    >>> identity = np.array([[[0.0, 1.0, 0.0]]])
    >>> Adapter("numpy").convolve(np.ones((1, 4, 1)), identity, "periodic", 1).ravel()
    array([1., 1., 1., 1.])
    """
