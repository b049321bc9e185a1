"""One convolution on a GPU, by the way that its shapes call for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from refmg_backends.backend import Array
from refmg_backends.cuda_choice import Shape, convolution_seconds, faster
from refmg_backends.cuda_kernels.direct import DirectConvolution
from refmg_backends.cuda_kernels.launch import same_floats
from refmg_backends.gemm_kernels import GemmConvolution
from refmg_backends.geometry import Geometry
from refmg_backends.sparse_assembly import assemble

if TYPE_CHECKING:
    from refmg_backends.cupy_backend import CupyBackend


class ExplicitConvolution:
    """A convolution that is its sparse matrix on the device, of ``cupyx.scipy.sparse``.

    It is assembled on the host in canonical form and moved. Products with dense matrices are not bitwise
    repeatable.

    Parameters
    ----------
    backend : CupyBackend
        Gives the namespace.
    stencil : ndarray, shape (C_out, C_in, k_1, .., k_d)
        Taps on the host, floats: cupyx has no matrices of integers.
    geometry : Geometry
        Grid, width, boundary and stride.
    """

    def __init__(self, backend: CupyBackend, stencil: NDArray[Any], geometry: Geometry) -> None:
        from importlib import import_module

        K, kind = assemble(stencil, geometry), import_module("cupyx.scipy.sparse").csr_matrix

        def moved(matrix: Any) -> Any:
            found = kind(matrix)
            # As it is on the host: cupyx would look through it at the first product, and wait for the answer.
            found.has_canonical_format = True
            return found

        # CSR of K and of its transpose: the device never sorts or sums.
        self.K, self.KT = backend.keep(lambda: moved(K)), backend.keep(lambda: moved(K.T.tocsr()))
        self.xp, self.geometry, self.channels = backend.xp, geometry, stencil.shape[:2]

    def apply(self, Y: Array, add_to: Array | None = None) -> Array:
        """Return ``add_to + K Y``."""
        return self._product(self.K(), Y, (self.channels[0], self.geometry.out_cells, Y.shape[-1]), add_to)

    def apply_transpose(self, Z: Array, add_to: Array | None = None) -> Array:
        """Return ``add_to + K^T Z``."""
        return self._product(self.KT(), Z, (self.channels[1], self.geometry.cells, Z.shape[-1]), add_to)

    def _product(self, K: Any, X: Array, shape: tuple[int, ...], add_to: Array | None) -> Array:
        product = self.xp.reshape(K @ self.xp.reshape(X, (K.shape[1], X.shape[-1])), shape)
        return product if add_to is None else add_to + product


class CupyConvolution:
    """A convolution that chooses its way when it sees how many examples there are.

    Parameters
    ----------
    backend : CupyBackend
        Memory, kernels and tables.
    stencil : array, shape (C_out, C_in, k_1, .., k_d)
        Taps on the device.
    geometry : Geometry
        Grid, width, boundary and stride.
    """

    def __init__(self, backend: CupyBackend, stencil: Array, geometry: Geometry) -> None:
        self.backend, self.stencil, self.geometry = backend, stencil, geometry
        self.c_out, self.c_in = stencil.shape[:2]

    def method(self, X: Array, transposed: bool = False, add_to: Array | None = None) -> str:
        """Return by which method features `X` will be convolved."""
        chosen, known = self.backend.method, [] if add_to is None else [add_to]
        if not same_floats(self.stencil, X, *known):
            return "explicit" if chosen == "explicit" and self.stencil.dtype.kind in "fc" else "gemm"
        return chosen or faster(convolution_seconds(self.shape(X.shape[-1], transposed), X.dtype.name,
                                                    self.backend.tf32))  # fmt: skip

    def shape(self, m: int, transposed: bool = False) -> Shape:
        """Return the sizes of the product, or of the transposed one, for `m` examples."""
        g = self.geometry
        if transposed:
            return Shape(self.c_in, self.c_out, g.taps, g.out_cells, g.cells, m)
        return Shape(self.c_out, self.c_in, g.taps, g.cells, g.out_cells, m)

    @cached_property
    def direct(self) -> DirectConvolution:
        """The kernel that stores nothing gathered."""
        return self._direct(transposed=False)

    @cached_property
    def direct_transpose(self) -> DirectConvolution:
        """The same for the transpose."""
        return self._direct(transposed=True)

    def _direct(self, transposed: bool) -> DirectConvolution:
        b, g = self.backend, self.geometry
        taps = b.xp.reshape(self.stencil, (self.c_out, self.c_in, g.taps))
        return DirectConvolution(b, taps, b.table(g, transposed), transposed)

    @cached_property
    def gemm(self) -> GemmConvolution:
        """The product with gathered features."""
        return GemmConvolution(self.backend, self.stencil, self.geometry)

    @cached_property
    def explicit(self) -> ExplicitConvolution:
        """The sparse matrix."""
        return ExplicitConvolution(self.backend, self.backend.to_numpy(self.stencil), self.geometry)

    def apply(self, Y: Array, add_to: Array | None = None) -> Array:
        """Return ``add_to + K Y``."""
        method = self.method(Y, add_to=add_to)
        if method == "direct":
            return self.direct.apply(Y, add_to)[0]
        return getattr(self, method).apply(Y, add_to)

    def apply_transpose(self, Z: Array, add_to: Array | None = None) -> Array:
        """Return ``add_to + K^T Z``."""
        method = self.method(Z, transposed=True, add_to=add_to)
        if method == "direct":
            return self.direct_transpose.apply(Z, add_to)[0]
        return getattr(self, method).apply_transpose(Z, add_to)
