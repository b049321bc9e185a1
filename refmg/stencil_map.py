"""The small dense map that moves a stencil between resolutions (paper, equations 8 and 9)."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refmg.axis_map import RationalMatrix, axis_map, coarse_width
from refmg.rational import inverse, rank, to_float
from refmg.stencil import check_width, of_width, per_axis, stencil_ndim, with_channels
from refmg.transfer import Shape, Transfer, TransferPair, named_pair, transfer_name
from refmg_backends import RefmgError, one_of

CLOSURES = ("exact", "least-squares")


class ClosureError(RefmgError):
    """Restricted stencils do not fit the width, or do not determine the fine stencil."""


class StencilMap:
    r"""The linear map of fine stencils to coarse ones that makes ``K(s_H) = R K(s_h) P``.

    Parameters
    ----------
    width : int or tuple of int
        Taps per axis, odd; one for all axes or one each.
    ndim : int
        Number of grid axes ``d``.
    transfer : str or callable
        The pair (R, P); see :func:`refmg.named_pair`.
    factor : int or tuple of int
        Coarsening factor, one for all axes or one each.
    closure : {"exact", "least-squares"}
        ``"exact"`` refuses a pair that does not close. ``"least-squares"`` takes instead the stencil
        whose ``K(s_H)`` is nearest to ``R K(s_h) P`` in the Frobenius norm, and prolongs by the
        pseudoinverse.
    stride : int or tuple of int
        Of the convolution, which keeps it: ``K(s_H) = R_out K(s_h) P_in`` with R on the outputs.

    Attributes
    ----------
    axis_maps : tuple of ndarray of Fraction
        The exact 1-D maps; the n-D map is their Kronecker product.

    Raises
    ------
    ClosureError
        If a restricted stencil needs more taps than `width`; the message names how many.
    RefmgError
        For an even width, an unknown transfer, a factor below 1.

    Notes
    -----
    With the composite taps :math:`c_t = \sum_a r_a p_{a-t}` of the pair, the 1-D map is
    :math:`T_{J j} = c_{f J - j}`. It does not depend on the grid. For factor 2 and ``"linear"`` it
    has eigenvalues 1, 1/2, 1/4, the scalings :math:`2^{-p}` of a p-th derivative in pixel units.
    For 3 x 3 stencils ``prolong`` solves the paper's 9 x 9 system (9); it acts axis by axis, which
    is the same by the Kronecker structure.

    Examples
    --------
    >>> StencilMap(ndim=1).matrix
    array([[0.5  , 0.125, 0.   ],
           [0.5  , 0.75 , 0.5  ],
           [0.   , 0.125, 0.5  ]])
    >>> print(f"{StencilMap(width=3, ndim=2).condition_number:.3f}")
    26.853
    >>> StencilMap(ndim=1).restrict([1.0, -2.0, 1.0])
    array([ 0.25, -0.5 ,  0.25])
    """

    def __init__(
        self,
        width: int | Shape = 3,
        ndim: int = 2,
        transfer: Transfer = "linear",
        factor: int | Shape = 2,
        closure: str = "exact",
        stride: int | Shape = 1,
    ) -> None:
        if closure not in CLOSURES:
            raise RefmgError(one_of("closure", closure, CLOSURES))
        self.closure = closure
        self.width = check_width(per_axis("width", width, ndim))
        self.factor = per_axis("factor", factor, ndim)
        self.stride = per_axis("stride", stride, ndim)
        self.transfer, self.ndim = transfer, ndim
        self.pairs = tuple(named_pair(transfer, f) for f in self.factor)
        if closure == "exact":
            self._check_closure()
        self.axis_maps: tuple[RationalMatrix, ...] = tuple(
            axis_map(pair, k, stride=t) for pair, k, t in self._axes()
        )

    def __repr__(self) -> str:
        return f"StencilMap(width={self.width}, transfer={self.transfer!r}, factor={self.factor})"

    def _axes(self) -> list[tuple[TransferPair, int, int]]:
        return list(zip(self.pairs, self.width, self.stride, strict=True))

    @property
    def coarse_width(self) -> Shape:
        """Taps per axis that restricted stencils need."""
        return tuple(coarse_width(pair, k, t) for pair, k, t in self._axes())

    @property
    def closes(self) -> bool:
        """Whether every restricted stencil fits the width."""
        return all(coarse <= k for coarse, k in zip(self.coarse_width, self.width, strict=True))

    def _check_closure(self) -> None:
        if not self.closes:
            needed = self.coarse_width
            with_stride = "" if set(self.stride) == {1} else f" and stride {self.stride}"
            raise ClosureError(
                f"transfer {transfer_name(self.transfer)} with factor {self.factor}{with_stride} does not "
                f"close at width {self.width}: the coarse stencil needs width {needed}; take a pair with "
                "shorter taps, a stencil padded with zeros to a wider one, or closure='least-squares'"
            )

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The map as a matrix on ``s.ravel()``, shape ``(n_K, n_K)``, float64.

        Each entry is its exact rational value rounded once.
        """
        return to_float(self.fractions)

    @property
    def fractions(self) -> RationalMatrix:
        """The map as a matrix of ``fractions.Fraction``, shape ``(n_K, n_K)``."""
        return reduce(np.kron, self.axis_maps)

    @property
    def eigenvalues(self) -> NDArray[np.float64]:
        """Eigenvalues of the map, largest first: the scalings of discrete derivatives."""
        # Repeated eigenvalues pick up imaginary rounding of the order of sqrt(eps); own pairs may have
        # real ones with true imaginary parts, which stay.
        return np.sort(np.real_if_close(np.linalg.eigvals(self.matrix), tol=1e9))[::-1]

    @property
    def rank(self) -> int:
        """Exact rank of the map."""
        return int(np.prod([rank(T) for T in self.axis_maps]))

    @property
    def condition_number(self) -> float:
        """Condition number of the map in the 2-norm; infinite where it is singular."""
        if self.rank < self.fractions.shape[0]:
            return float("inf")
        return float(np.linalg.cond(self.matrix))

    @property
    def amplification(self) -> float:
        """How much ``prolong`` can enlarge a stencil, in the 2-norm; infinite where it is singular."""
        if self.rank < self.fractions.shape[0]:
            return float("inf")
        return float(1 / np.linalg.svd(self.matrix, compute_uv=False)[-1])

    def restrict(self, stencil: ArrayLike) -> NDArray[Any]:
        """Return the coarse stencil ``s_H`` with ``K(s_H) = R K(s_h) P``.

        Parameters
        ----------
        stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
            Fine stencil in pixel units. Arrays of ``Fraction`` are mapped exactly.

        Returns
        -------
        ndarray
            The same shape; float32 stays float32, integers become float64.

        Raises
        ------
        RefmgError
            If the stencil has another width or a tap that is not finite.

        Examples
        --------
        >>> StencilMap().restrict(np.array([[0, 0, 0], [-1, 0, 1], [0, 0, 0]]))
        array([[-0.0625,  0.    ,  0.0625],
               [-0.375 ,  0.    ,  0.375 ],
               [-0.0625,  0.    ,  0.0625]])
        """
        return self._apply(self.axis_maps, stencil)

    def prolong(self, stencil: ArrayLike, method: str | None = None) -> NDArray[Any]:
        """Return the fine stencil ``s_h`` of the same width with ``K(s_H) = R K(s_h) P``.

        Parameters
        ----------
        stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
            Coarse stencil in pixel units. Arrays of ``Fraction`` are mapped exactly.
        method : {"exact", "least-squares"}, optional
            ``"least-squares"`` takes the smallest of the best fits where there is no unique solution;
            :meth:`residual` says how good it is. By default the map's `closure`.

        Returns
        -------
        ndarray
            The same shape; ``prolong(restrict(s))`` is ``s``.

        Raises
        ------
        ClosureError
            If the map is singular, so that the fine stencil is not unique.
        RefmgError
            As :meth:`restrict`.

        Examples
        --------
        >>> StencilMap(ndim=1).prolong([0.25, -0.5, 0.25])
        array([ 1., -2.,  1.])
        """
        if method not in (None, *CLOSURES):
            raise RefmgError(one_of("method", str(method), CLOSURES))
        size = int(np.prod(self.width))
        if (method or self.closure) == "least-squares" and (self.rank < size or not self.closes):
            return self._apply(self._pseudoinverses(), stencil)
        if self.rank < size:
            raise ClosureError(
                f"the fine stencil is not unique: transfer {self.transfer!r} with factor {self.factor} maps "
                f"stencils of width {self.width} with rank {self.rank} of {size}; take another pair, "
                "a narrower stencil, or closure='least-squares' (here method='least-squares') for the "
                "smallest of the best fits"
            )
        return self._apply(tuple(inverse(T) for T in self.axis_maps), stencil)

    def residual(self, fine: ArrayLike, coarse: ArrayLike) -> float:
        """Return ``||K(s_H) - R K(s_h) P||``, Frobenius norm by the square root of the coarse cells.

        Parameters
        ----------
        fine, coarse : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
            ``s_h`` and ``s_H``.

        Returns
        -------
        float
            What is left in one row (per output channel together); the same on every grid that is wide
            enough for the product's stencil.

        Examples
        --------
        >>> five = StencilMap(width=5, ndim=1, transfer="average")
        >>> fitted = five.prolong([0.0, 1.0, -2.0, 1.0, 0.0], method="least-squares")
        >>> print(f"{five.residual(fitted, [0.0, 1.0, -2.0, 1.0, 0.0]):.3f}")
        0.000
        >>> lost = five.prolong([1.0, 0.0, 0.0, 0.0, 0.0], method="least-squares")
        >>> print(f"{five.residual(lost, [1.0, 0.0, 0.0, 0.0, 0.0]):.3f}")
        1.000
        """
        return float(np.linalg.norm(self.mismatch(fine, coarse)))

    def mismatch(self, fine: ArrayLike, coarse: ArrayLike) -> NDArray[np.float64]:
        """Return what :meth:`residual` is the norm of: taps of ``R K(s_h) P`` less those of ``K(s_H)``."""
        wide = tuple(max(k, c) for k, c in zip(self.width, self.coarse_width, strict=True))
        maps = [axis_map(pair, k, w, t) for (pair, k, t), w in zip(self._axes(), wide, strict=True)]
        product = self._apply(tuple(maps), with_channels(fine, self.ndim))
        margins = [((w - k) // 2,) * 2 for w, k in zip(wide, self.width, strict=True)]
        given = np.pad(of_width(coarse, self.width), [(0, 0), (0, 0), *margins])
        return np.asarray(product - given, dtype=np.float64)

    def _pseudoinverses(self) -> tuple[NDArray[Any], ...]:
        """Return the axis maps whose product minimises ``||K(s_H) - R K(s_h) P||``, s_h smallest.

        Taps of ``R K(s_h) P`` outside the width count as well: the least squares are those of the
        map to the wider stencils, with zeros beyond the given taps.
        """
        maps = []
        for pair, k, t in self._axes():
            wide = max(k, coarse_width(pair, k, t))
            outside = (wide - k) // 2
            whole = np.linalg.pinv(to_float(axis_map(pair, k, wide, t)), rcond=wide * np.finfo(float).eps)
            maps.append(whole[:, outside : outside + k])
        return tuple(maps)

    def _apply(self, maps: tuple[RationalMatrix, ...], stencil: ArrayLike) -> NDArray[Any]:
        given = np.asarray(stencil)
        s = of_width(given, self.width)
        exact = s.dtype == object
        dtype = object if exact else np.result_type(s, np.float32 if s.dtype == np.float32 else np.float64)
        for axis, rational in enumerate(maps, start=2):
            matrix = rational if exact else to_float(rational).astype(dtype)
            s = np.moveaxis(np.tensordot(matrix, s, axes=(1, axis)), 0, axis)
        return s if given.ndim == s.ndim else s[0, 0]


def restrict_stencil(
    stencil: ArrayLike, transfer: Transfer = "linear", factor: int | Shape = 2, ndim: int | None = None
) -> NDArray[Any]:
    """Move a stencil to the coarse grid; short for ``StencilMap(...).restrict(stencil)``.

    Parameters
    ----------
    stencil : array_like, shape (k_1, .., k_d) or (C_out, C_in, k_1, .., k_d)
        Fine stencil. Three axes are read as a plain 3-D stencil unless ``ndim=1``.
    transfer, factor
        As in :class:`StencilMap`.
    ndim : int, optional
        Number of grid axes; from the shape by default.

    Returns
    -------
    ndarray
        The same shape.

    Raises
    ------
    ClosureError, RefmgError
        As :class:`StencilMap`.

    Examples
    --------
    >>> restrict_stencil([1.0, 0.0, -1.0])
    array([ 0.5,  0. , -0.5])
    """
    return _map_for(stencil, transfer, factor, ndim).restrict(stencil)


def prolong_stencil(
    stencil: ArrayLike,
    transfer: Transfer = "linear",
    factor: int | Shape = 2,
    ndim: int | None = None,
    method: str = "exact",
) -> NDArray[Any]:
    """Move a stencil to the fine grid; short for ``StencilMap(...).prolong(stencil)``.

    Parameters
    ----------
    stencil, transfer, factor, ndim
        As in :func:`restrict_stencil`, with a coarse stencil.
    method : {"exact", "least-squares"}
        As in :meth:`StencilMap.prolong`; ``"least-squares"`` also takes pairs that do not close. Its
        residual is :meth:`StencilMap.residual`.

    Returns
    -------
    ndarray
        The same shape.

    Raises
    ------
    ClosureError, RefmgError
        As :meth:`StencilMap.prolong`.

    Examples
    --------
    >>> prolong_stencil([0.5, 0.0, -0.5])
    array([ 1.,  0., -1.])
    >>> prolong_stencil([0.0, 0.0, 1.0, 0.0, 0.0], "average", method="least-squares").round(3)
    array([-0.143,  0.286,  0.714,  0.286, -0.143])
    """
    return _map_for(stencil, transfer, factor, ndim, method).prolong(stencil, method)


def _map_for(
    stencil: ArrayLike, transfer: Transfer, factor: int | Shape, ndim: int | None, closure: str = "exact"
) -> StencilMap:
    d = stencil_ndim(stencil, ndim)
    width = with_channels(stencil, d).shape[2:]
    return StencilMap(width=width, ndim=d, transfer=transfer, factor=factor, closure=closure)
