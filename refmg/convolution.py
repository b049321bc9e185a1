"""Convolutions on a grid, as an operator and as an explicit sparse matrix (paper, equation 2)."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from refmg.stencil import channel_shape, grid_cells, per_axis, with_channels
from refmg_backends import Activation, Backend, Geometry, RefmgError, assemble, get_backend
from refmg_backends.backend import Array
from refmg_backends.errors import check_shape

Shape = tuple[int, ...]


def convolution_matrix(
    stencil: ArrayLike,
    shape: Shape,
    boundary: str = "periodic",
    stride: int | Shape = 1,
) -> scipy.sparse.csr_array:
    r"""Return the matrix ``K(s)`` of a convolution.

    Parameters
    ----------
    stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
        Taps, in pixel units, every width odd. Integers give an integer matrix.
    shape : tuple of int
        Cells of the grid, ``(n_1, .., n_d)``.
    boundary : {"periodic", "zero", "reflect"}
        ``"reflect"`` is half-sample symmetric, as in ``scipy.ndimage`` (PyTorch's ``"reflect"`` is
        SciPy's ``"mirror"``, another one).
    stride : int or tuple of int
        Output cell ``o`` is centred at cell ``o * stride``.

    Returns
    -------
    scipy.sparse.csr_array, shape (C_out * N_out, C_in * N)
        Canonical: sorted indices, no duplicates. It multiplies ``Y.reshape(C_in * N, m)``.

    Raises
    ------
    RefmgError
        For an even width, axes that do not fit, an unknown boundary.

    Notes
    -----
    :math:`(K(s) y)_i = \sum_j s_j y_{i+j}` with centred offsets ``j``: cross-correlation, PyTorch's
    ``conv2d`` weight convention. Flip every axis of the stencil for a convolution. In many channels
    :math:`K(s) = \sum_j S_j \otimes C_j` with ``S_j`` the channel matrix of tap ``j`` and ``C_j`` the
    (circulant) shift. Haber et al., equation (2).

    Examples
    --------
    >>> convolution_matrix([1, -2, 1], (4,)).toarray()
    array([[-2,  1,  0,  1],
           [ 1, -2,  1,  0],
           [ 0,  1, -2,  1],
           [ 1,  0,  1, -2]])
    """
    s = with_channels(stencil, len(grid_cells(shape)))
    return assemble(s, _geometry(s.shape[2:], shape, boundary, stride))


def _geometry(width: Shape, shape: Shape, boundary: str, stride: int | Shape) -> Geometry:
    cells = grid_cells(shape)
    return Geometry(cells, tuple(width), boundary, per_axis("stride", stride, len(cells)))


class Convolution:
    """A convolution with a fixed stencil on a fixed grid.

    Parameters
    ----------
    stencil : array, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
        Taps in pixel units: a NumPy array or an array of the backend. NaN and infinity are looked for
        in NumPy arrays only.
    shape : tuple of int
        Cells of the grid.
    boundary : {"periodic", "zero", "reflect"}
        What lies outside the grid.
    stride : int or tuple of int
        Step between output cells, in input cells.
    backend : Backend or str, optional
        Where the arrays live; ``REFMG_BACKEND``, else NumPy.

    Raises
    ------
    RefmgError
        For an even width, axes that do not fit, an unknown boundary or backend.

    Examples
    --------
    >>> second_difference = Convolution(np.array([1.0, -2.0, 1.0]), (5,), backend="numpy")
    >>> y = np.arange(5.0).reshape(1, 5, 1) ** 2
    >>> second_difference.apply(y)[0, :, 0]
    array([ 17.,   2.,   2.,   2., -23.])
    """

    def __init__(
        self,
        stencil: Array,
        shape: Shape,
        boundary: str = "periodic",
        stride: int | Shape = 1,
        backend: Backend | str | None = None,
    ) -> None:
        self.backend = get_backend(backend) if backend is None or isinstance(backend, str) else backend
        self.stencil = self._own(stencil, len(grid_cells(shape)))
        self.geometry = _geometry(self.stencil.shape[2:], shape, boundary, stride)
        self.c_out, self.c_in = self.stencil.shape[:2]

    def __repr__(self) -> str:
        g = self.geometry
        channels = f"{self.c_in} -> {self.c_out} channels"
        return f"Convolution({channels}, width {g.width}, grid {g.shape}, {g.boundary})"

    def _own(self, stencil: Array, ndim: int) -> Array:
        """Return a copy of the stencil, since the caller may go on changing theirs.

        On a device only the shape is checked: to look at the values would wait for them.
        """
        if isinstance(stencil, list | tuple | np.ndarray):
            return self.backend.asarray(with_channels(stencil, ndim).copy())
        xp = self.backend.xp
        return xp.asarray(xp.reshape(stencil, channel_shape(stencil.shape, ndim)), copy=True)

    @cached_property
    def _kernel(self) -> Any:
        return self.backend.convolution(self.stencil, self.geometry)

    def prepare(self) -> Convolution:
        """Build what the backend's kernel needs, otherwise built when first applied; return itself."""
        _ = self._kernel
        return self

    def apply(self, Y: Array, add_to: Array | None = None) -> Array:
        """Return ``K(s) Y``, or ``add_to + K(s) Y``.

        Parameters
        ----------
        Y : array, shape (C_in, n_1, .., n_d, m)
            Features, examples last.
        add_to : array, shape (C_out, n_1', .., n_d', m), optional
            What the product is added to; it is not changed.

        Returns
        -------
        array, shape (C_out, n_1', .., n_d', m)

        Raises
        ------
        RefmgError
            If the shape of `Y` does not fit, or it is no array of the backend.
        """
        flat, g = self._flat(Y, self.c_in, self.geometry.shape), self.geometry
        start = None if add_to is None else self._flat(add_to, self.c_out, g.out_shape, Y.shape[-1])
        return self._grid(self._kernel.apply(flat, start), self.c_out, g.out_shape)

    def apply_transpose(self, Z: Array, add_to: Array | None = None) -> Array:
        """Return ``K(s)^T Z``, the adjoint of :meth:`apply`, or ``add_to + K(s)^T Z``.

        Parameters
        ----------
        Z : array, shape (C_out, n_1', .., n_d', m)
            Features on the output grid.
        add_to : array, shape (C_in, n_1, .., n_d, m), optional
            What the product is added to; it is not changed.

        Returns
        -------
        array, shape (C_in, n_1, .., n_d, m)

        Raises
        ------
        RefmgError
            If the shape of `Z` does not fit, or it is no array of the backend.
        """
        flat, g = self._flat(Z, self.c_out, self.geometry.out_shape), self.geometry
        start = None if add_to is None else self._flat(add_to, self.c_in, g.shape, Z.shape[-1])
        return self._grid(self._kernel.apply_transpose(flat, start), self.c_in, g.shape)

    def activated(
        self,
        Y: Array,
        bias: Array,
        activation: Activation,
        base: Array | None = None,
        scale: float = 1.0,
        slope: bool = False,
    ) -> tuple[Array, Array | None]:
        r"""Return ``base + scale * sigma(K(s) Y + b)`` and, with `slope`, :math:`\sigma'(K(s) Y + b)`.

        Parameters
        ----------
        Y : array, shape (C_in, n_1, .., n_d, m)
            Features.
        bias : array, shape (C_out,)
            One number a channel.
        activation : Activation
            The nonlinearity.
        base : array, shape (C_out, n_1', .., n_d', m), optional
            What the scaled activation is added to.
        scale : float
            Factor, such as the time step.
        slope : bool
            Whether the derivative is wanted, else None is returned in its place.

        Raises
        ------
        RefmgError
            If a shape does not fit, or an array is not one of the backend.
        """
        flat, shape = self._flat(Y, self.c_in, self.geometry.shape), self.geometry.out_shape
        under = None if base is None else self._flat(base, self.c_out, shape, Y.shape[-1])
        check_shape("bias", bias.shape, (self.c_out,))
        value, rate = self.backend.activated(self._kernel, flat, bias, activation, under, scale, slope)
        grid = self._grid(value, self.c_out, shape)
        return grid, None if rate is None else self._grid(rate, self.c_out, shape)

    def stencil_gradient(self, Y: Array, Z: Array) -> Array:
        """Return the gradient of ``<K(s) Y, Z>`` with respect to ``s``.

        Parameters
        ----------
        Y : array, shape (C_in, n_1, .., n_d, m)
            What the convolution is applied to.
        Z : array, shape (C_out, n_1', .., n_d', m)
            What its result is paired with.

        Returns
        -------
        array, shape (C_out, C_in, k_1, .., k_d)
            ``G`` with ``<G, s> = <K(s) Y, Z>`` for every stencil ``s``.
        """
        left = self._flat(Y, self.c_in, self.geometry.shape)
        right = self._flat(Z, self.c_out, self.geometry.out_shape)
        if Y.shape[-1] != Z.shape[-1]:
            raise RefmgError(f"found {Y.shape[-1]} and {Z.shape[-1]} examples; expected as many in Y as in Z")
        return self.backend.stencil_gradient(left, right, self.geometry)

    def matrix(self) -> scipy.sparse.csr_array:
        """Return the explicit matrix on the host, as :func:`convolution_matrix` does."""
        return assemble(self.backend.to_numpy(self.stencil), self.geometry)

    def linear_operator(self, examples: int = 1) -> scipy.sparse.linalg.LinearOperator:
        """Return the convolution as a ``scipy.sparse.linalg.LinearOperator`` on flattened features.

        Parameters
        ----------
        examples : int
            Number of examples ``m`` in the flattened array.
        """
        g = self.geometry
        into, out = (self.c_in, *g.shape, examples), (self.c_out, *g.out_shape, examples)
        return scipy.sparse.linalg.LinearOperator(
            dtype=np.result_type(self.backend.to_numpy(self.stencil)),
            shape=(int(np.prod(out)), int(np.prod(into))),
            matvec=lambda y: self._host(self.apply, y, into),
            rmatvec=lambda z: np.conj(self._host(self.apply_transpose, np.conj(z), out)),
        )

    def _host(self, function: Any, x: Any, shape: Shape) -> Any:
        result = function(self.backend.asarray(np.reshape(x, shape)))
        return self.backend.to_numpy(result).ravel()

    def flat_features(self, Y: Array) -> Array:
        """Return features on the grid as ``(C_in, cells, m)``.

        Raises
        ------
        RefmgError
            If the shape of `Y` does not fit, or it is no array of the backend.
        """
        return self._flat(Y, self.c_in, self.geometry.shape)

    def _flat(self, X: Array, channels: int, shape: Shape, examples: int | None = None) -> Array:
        if isinstance(X, np.ndarray) and not isinstance(self.stencil, np.ndarray):
            raise RefmgError(
                f"found a NumPy array; expected one of backend {self.backend.name!r}: move it by "
                'backend.asarray(..), or name backend="numpy"'
            )
        expected = (channels, *shape)
        if tuple(X.shape[:-1]) != expected or examples not in (None, X.shape[-1]):
            layout = ", ".join(str(n) for n in expected)
            raise RefmgError(
                f"found features of shape {tuple(X.shape)}; expected ({layout}, {examples or 'examples'}): "
                "channels first, grid, examples last"
            )
        return self.backend.xp.reshape(X, (channels, prod(shape), X.shape[-1]))

    def _grid(self, X: Array, channels: int, shape: Shape) -> Array:
        return self.backend.xp.reshape(X, (channels, *shape, X.shape[-1]))
