"""Pooling with exact adjoints: the mean over all cells, and the maximum over a window."""

from __future__ import annotations

from types import ModuleType

from refmg_backends import Backend, Geometry
from refmg_backends.backend import Array
from refmg_backends.pooling import uploaded_tables, with_cell


def average_pool(xp: ModuleType, Y: Array) -> Array:
    """Return the mean over all cells of features ``(C, cells, m)``; shape ``(C, m)``.

    Examples
    --------
    >>> import numpy as np
    >>> average_pool(np, np.array([[[1.0], [3.0]]]))
    array([[2.]])
    """
    return xp.mean(Y, axis=1)


def average_pool_adjoint(xp: ModuleType, P: Array, cells: int) -> Array:
    """Return the cotangent ``(C, cells, m)`` of the features for `P` of shape ``(C, m)``.

    Examples
    --------
    >>> import numpy as np
    >>> average_pool_adjoint(np, np.array([[1.0]]), 2).ravel()
    array([0.5, 0.5])
    """
    shape = (P.shape[0], cells, P.shape[1])
    return xp.broadcast_to((P / cells)[:, None, :], shape)


def max_pool(backend: Backend, Y: Array, geometry: Geometry) -> Array:
    """Return the largest number in the window around each output cell.

    Parameters
    ----------
    backend : Backend
    Y : array, shape (C, cells, m)
    geometry : Geometry
        Window, boundary and stride; outside of ``"zero"`` lies nothing (minus infinity), not 0.

    Returns
    -------
    array, shape (C, out_cells, m)

    Examples
    --------
    >>> import numpy as np
    >>> from refmg_backends import get_backend
    >>> window = Geometry((4,), (3,), "zero", (2,))
    >>> max_pool(get_backend("numpy"), np.array([-1.0, -2.0, 5.0, 4.0]).reshape(1, 4, 1), window).ravel()
    array([-1.,  5.])
    """
    return backend.max_pool(Y, geometry)[0]


def max_pool_choice(backend: Backend, Y: Array, geometry: Geometry) -> tuple[Array, Array]:
    """Return the maxima and, for the adjoint, which tap has each: the first of equal ones.

    Parameters
    ----------
    backend, Y, geometry
        As for :func:`max_pool`.

    Returns
    -------
    array, shape (C, out_cells, m)
    array of int8, shape (C, out_cells, m)

    Examples
    --------
    >>> import numpy as np
    >>> from refmg_backends import get_backend
    >>> window = Geometry((4,), (3,), "zero", (2,))
    >>> Y = np.array([-1.0, -2.0, 5.0, 5.0]).reshape(1, 4, 1)
    >>> max_pool_choice(get_backend("numpy"), Y, window)[1].ravel()
    array([1, 1], dtype=int8)
    """
    return backend.max_pool(Y, geometry, choice=True)


def max_pool_adjoint(backend: Backend, choice: Array, P: Array, geometry: Geometry) -> Array:
    """Return the cotangent of the features: each number of `P` goes to the tap that had the maximum.

    Parameters
    ----------
    backend : Backend
    choice : array of int8, shape (C, out_cells, m)
        From :func:`max_pool_choice`.
    P : array, shape (C, out_cells, m)
        Cotangent of the maxima.
    geometry : Geometry

    Returns
    -------
    array, shape (C, cells, m)
    """
    return backend.max_pool_adjoint(choice, P, geometry)


def gathered(backend: Backend, Y: Array, geometry: Geometry) -> Array:
    """Return what each tap of a convolution reads in each channel, 0 outside.

    Parameters
    ----------
    backend : Backend
    Y : array, shape (C, cells, m)
    geometry : Geometry

    Returns
    -------
    array, shape (C * taps, out_cells, m)
        Channels after another, ordered as a stencil ``(C_out, C, k_1, k_2)`` is.

    Examples
    --------
    >>> import numpy as np
    >>> from refmg_backends import get_backend
    >>> Y = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
    >>> gathered(get_backend("numpy"), Y, Geometry((3,), (3,), "zero"))[..., 0]
    array([[0., 1., 2.],
           [1., 2., 3.],
           [2., 3., 0.]])
    """
    xp, padded = backend.xp, with_cell(backend.xp, Y, 0.0)
    rows, _ = uploaded_tables(backend, geometry)  # type: ignore[arg-type]
    taps = xp.stack([xp.take(padded, row, axis=1) for row in rows], axis=1)
    return xp.reshape(taps, (Y.shape[0] * geometry.taps, geometry.out_cells, Y.shape[-1]))
