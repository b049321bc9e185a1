"""What all have in common: right where nothing is overridden."""

import numpy as np
from scipy import ndimage

from refmg_validation.adapters.backends import Adapter

MODES = {"periodic": "wrap", "zero": "constant", "reflect": "reflect"}


def filtered(features, stencil, mode, operation=ndimage.correlate):
    """Return the sum over input channels of SciPy's filter, on ``(C, n_1, .., n_d, m)``."""
    parts = [
        [
            [operation(features[i, ..., e], stencil[o, i], mode=mode) for i in range(stencil.shape[1])]
            for e in range(features.shape[-1])
        ]
        for o in range(stencil.shape[0])
    ]
    return np.stack([np.stack([sum(rows) for rows in of_o], axis=-1) for of_o in parts])


def step(stride, ndim):
    strides = np.broadcast_to(stride, (ndim,)).tolist()
    return (slice(None), *(slice(None, None, t) for t in strides), slice(None))


class OnReference(Adapter):
    """All that is not overridden is right."""

    def __init__(self):
        super().__init__("numpy")
