"""The ``numpy`` backend: explicit sparse matrices, the truth that everything else is held against."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import numpy as xp
from numpy.typing import NDArray
from scipy import sparse

from refmg_backends.array_backend import ArrayBackend
from refmg_backends.geometry import Geometry
from refmg_backends.sparse_assembly import assemble


class SparseConvolution:
    """A convolution that is its matrix.

    Parameters
    ----------
    stencil : ndarray, shape (C_out, C_in, k_1, .., k_d)
        Taps.
    geometry : Geometry
        Grid, width, boundary and stride.
    """

    def __init__(self, stencil: NDArray[Any], geometry: Geometry) -> None:
        self.geometry, self.channels = geometry, stencil.shape[:2]
        self.K = assemble(stencil, geometry)

    @cached_property
    def KT(self) -> sparse.csr_array:
        """The transpose in CSR form, made when first needed."""
        return self.K.T.tocsr()

    def apply(self, Y: NDArray[Any]) -> NDArray[Any]:
        """Return ``K Y``, one column an example."""
        columns = Y.reshape(-1, Y.shape[-1])
        return (self.K @ columns).reshape(self.channels[0], -1, Y.shape[-1])

    def apply_transpose(self, Z: NDArray[Any]) -> NDArray[Any]:
        """Return ``K^T Z``, one column an example."""
        columns = Z.reshape(-1, Z.shape[-1])
        return (self.KT @ columns).reshape(self.channels[1], -1, Z.shape[-1])


class NumpyBackend(ArrayBackend):
    """NumPy arrays on the host; convolutions are explicit ``scipy.sparse`` matrices."""

    def __init__(self) -> None:
        super().__init__("numpy", xp)

    def convolution(self, stencil: NDArray[Any], geometry: Geometry) -> SparseConvolution:
        """Assemble the matrix of a stencil."""
        return SparseConvolution(stencil, geometry)

    def to_numpy(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return `x` itself: it is on the host already."""
        return np.asarray(x)
