"""Stencils: the two layouts that users write, and the one that the operators use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refmg_backends import RefmgError


def with_channels(stencil: ArrayLike, ndim: int) -> NDArray[Any]:
    """Return a stencil as ``(C_out, C_in, k_1, .., k_d)``.

    Parameters
    ----------
    stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
        A plain stencil means one channel.
    ndim : int
        Number of grid axes ``d``.

    Returns
    -------
    ndarray, shape (C_out, C_in, k_1, .., k_d)
        A view where possible.

    Raises
    ------
    RefmgError
        If the number of axes fits neither layout, a width is even, or a tap is NaN or infinite.

    Examples
    --------
    >>> with_channels([[0, 1, 0], [1, -4, 1], [0, 1, 0]], ndim=2).shape
    (1, 1, 3, 3)
    """
    s = np.asarray(stencil)
    s = s.reshape(channel_shape(s.shape, ndim))
    _check_taps(s)
    return s


def channel_shape(shape: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """Return the shape ``(C_out, C_in, k_1, .., k_d)`` of a stencil of this shape on a grid of `ndim` axes.

    Raises
    ------
    RefmgError
        If the number of axes fits neither layout, or a width is even.

    Examples
    --------
    >>> channel_shape((3, 5), ndim=2)
    (1, 1, 3, 5)
    """
    full = (1, 1, *shape) if len(shape) == ndim else tuple(shape)
    if len(full) != ndim + 2:
        raise RefmgError(
            f"found a stencil of shape {tuple(shape)} for a grid of {ndim} axes; expected "
            f"{ndim} axes (k_1, .., k_d) or {ndim + 2} axes (C_out, C_in, k_1, .., k_d)"
        )
    check_width(full[2:])
    return full


def check_width(width: tuple[int, ...]) -> tuple[int, ...]:
    """Return the width where it is odd on every axis.

    Raises
    ------
    RefmgError
        If it is even on one.
    """
    if any(k % 2 == 0 for k in width):
        raise RefmgError(
            f"found a stencil of width {width}; expected odd widths, so that a tap lies on the "
            "cell itself: pad the stencil with zeros to an odd width"
        )
    return width


def _check_taps(s: NDArray[Any]) -> None:
    if s.dtype.kind in "fc" and not np.isfinite(s).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(s))[0])
        raise RefmgError(f"found {s[where]} in the stencil at index {where}; expected finite taps")


def of_width(stencil: ArrayLike, width: tuple[int, ...]) -> NDArray[Any]:
    """Return a stencil as ``(C_out, C_in, k_1, .., k_d)``, refused unless it has this width.

    Raises
    ------
    RefmgError
        If the stencil has another width or a tap that is not finite.
    """
    s = with_channels(stencil, len(width))
    if s.shape[2:] != width:
        raise RefmgError(f"found a stencil of width {s.shape[2:]}; expected {width}, as this map has")
    return s


def move_taps(matrix: NDArray[Any], stencil: ArrayLike, width: tuple[int, ...]) -> NDArray[Any]:
    """Return the stencil whose taps are a matrix times those of `stencil`, for every pair of channels.

    Parameters
    ----------
    matrix : ndarray, shape (n_K, n_K)
        Acts on the taps in C order.
    stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
        Of width `width`.
    width : tuple of int
        Taps per axis.

    Returns
    -------
    ndarray
        Shaped as `stencil`; float32 stays float32, all else becomes float64.

    Raises
    ------
    RefmgError
        If the stencil has another width or a tap that is not finite.

    Examples
    --------
    >>> move_taps(np.eye(3)[::-1], [1, 2, 3], (3,))
    array([3., 2., 1.])
    """
    s = of_width(stencil, width)
    dtype = np.float32 if s.dtype == np.float32 else np.float64
    moved = s.reshape(*s.shape[:2], -1).astype(dtype) @ matrix.T.astype(dtype)
    return moved.reshape(np.shape(stencil))


def stencil_ndim(stencil: ArrayLike, ndim: int | None = None) -> int:
    """Return the number of grid axes of a stencil that comes without a grid.

    Three axes are read as a plain stencil in three dimensions; for ``(C_out, C_in, k)`` say
    ``ndim=1``.

    Parameters
    ----------
    stencil : array_like
        In either layout.
    ndim : int, optional
        The answer, where the caller knows it.

    Returns
    -------
    int
        1, 2 or 3.

    Raises
    ------
    RefmgError
        If the stencil has no axes or more than five.

    Examples
    --------
    >>> [stencil_ndim(np.zeros(shape)) for shape in [(3,), (3, 3), (8, 4, 3, 3), (2, 2, 3, 3, 3)]]
    [1, 2, 2, 3]
    >>> stencil_ndim(np.zeros((8, 4, 3)), ndim=1)
    1
    """
    if ndim is not None:
        return ndim
    axes = np.ndim(stencil)
    if not 1 <= axes <= 5:
        raise RefmgError(
            f"found a stencil with {axes} axes; expected (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d) "
            "with d <= 3"
        )
    return axes if axes <= 3 else axes - 2


def per_axis(name: str, value: int | tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """Return one positive integer an axis, from one for all or one each.

    Parameters
    ----------
    name : str
        What the number is, for the message.
    value : int or tuple of int
        One for all axes, or one each.
    ndim : int
        Number of axes.

    Returns
    -------
    tuple of int

    Raises
    ------
    RefmgError
        If there are too few or too many, or one is not a positive integer.

    Examples
    --------
    >>> per_axis("factor", 2, 3)
    (2, 2, 2)
    """
    values = (value,) * ndim if np.ndim(value) == 0 else tuple(value)  # type: ignore[arg-type]
    whole = all(isinstance(v, (int, np.integer)) and v > 0 for v in values)
    if len(values) != ndim or not whole:
        raise RefmgError(
            f"found {name} {value!r}; expected a positive integer, or {ndim} of them, one per axis"
        )
    return tuple(int(v) for v in values)  # type: ignore[arg-type]


def grid_cells(shape: object) -> tuple[int, ...]:
    """Return the cells of a grid, one positive integer an axis.

    Raises
    ------
    RefmgError
        If the shape is a number alone, empty, or has an entry that is not a positive integer.

    Examples
    --------
    >>> grid_cells([28, 14])
    (28, 14)
    """
    if np.ndim(shape) != 1 or not len(shape):  # type: ignore[arg-type]
        raise RefmgError(f"found a grid of shape {shape!r}; expected one number an axis, such as (28, 28)")
    return per_axis("grid", tuple(shape), len(shape))  # type: ignore[arg-type]
