"""The ``numpy`` backend: explicit sparse matrices, the truth that everything else is held against."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import numpy as xp
from numpy.typing import NDArray
from scipy import sparse

from refmg_backends.array_backend import ArrayBackend
from refmg_backends.errors import check_operands
from refmg_backends.geometry import Geometry
from refmg_backends.processors import one_blas_thread, processors
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
        self._sides = (stencil.shape[1], geometry.cells), (stencil.shape[0], geometry.out_cells)

    @cached_property
    def KT(self) -> sparse.csr_array:
        """The transpose in CSR form, made when first needed."""
        return self.K.T.tocsr()

    def apply(self, Y: NDArray[Any], add_to: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return ``add_to + K Y``, one column an example."""
        check_operands(Y, add_to, *self._sides)
        columns = Y.reshape(self.K.shape[1], Y.shape[-1])
        product = (self.K @ columns).reshape(self.channels[0], self.geometry.out_cells, Y.shape[-1])
        return product if add_to is None else add_to + product

    def apply_transpose(self, Z: NDArray[Any], add_to: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return ``add_to + K^T Z``, one column an example."""
        check_operands(Z, add_to, *self._sides[::-1])
        columns = Z.reshape(self.K.shape[0], Z.shape[-1])
        product = (self.KT @ columns).reshape(self.channels[1], self.geometry.cells, Z.shape[-1])
        return product if add_to is None else add_to + product


class NumpyBackend(ArrayBackend):
    """NumPy arrays on the host; convolutions are explicit ``scipy.sparse`` matrices."""

    def __init__(self) -> None:
        super().__init__("numpy", xp)

    def convolution(self, stencil: NDArray[Any], geometry: Geometry) -> SparseConvolution:
        """Assemble the matrix of a stencil."""
        return SparseConvolution(stencil, geometry)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield `function` of each item in order, on as many threads as there are processors; none for one.

        SciPy's sparse products run on one thread each and release the interpreter's lock. BLAS is held
        to one thread meanwhile: threads within threads made the whole slower than one thread alone.
        """
        if processors() == 1:
            # A thread more would only be waited for, at each item anew.
            with one_blas_thread():
                yield from map(function, items)
            return
        with one_blas_thread(), ThreadPoolExecutor(processors()) as pool:
            # Few calls ahead: `items` may be read from disk, and must not all be in memory at once.
            ahead: deque[Future[Any]] = deque()
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) > processors():
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def to_numpy(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return `x` itself: it is on the host already."""
        return np.asarray(x)
