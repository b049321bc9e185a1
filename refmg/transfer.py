"""Pairs of restriction R and prolongation P (paper, equation 7), by their rational taps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from numbers import Rational

from refmg.stencil import grid_cells, per_axis
from refmg_backends import RefmgError, one_of

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Taps:
    """Rational weights on consecutive offsets.

    Parameters
    ----------
    first : int
        Offset of the first weight, in fine cells.
    weights : tuple of Fraction
        One a fine cell.

    Raises
    ------
    RefmgError
        If there is no weight, or one is no fraction.

    Examples
    --------
    >>> Taps(-1, (Fraction(1, 4), Fraction(3, 4))).items()
    [(-1, Fraction(1, 4)), (0, Fraction(3, 4))]
    """

    first: int
    weights: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        """Refuse weights with which no map is exact."""
        strange = [w for w in self.weights if not isinstance(w, Rational)]
        if strange or not self.weights:
            found = f"the weight {strange[0]!r}" if strange else "no weights"
            raise RefmgError(f"found {found}; expected fractions, such as Fraction(1, 2)")

    def items(self) -> list[tuple[int, Fraction]]:
        """Return pairs (offset, weight)."""
        return [(self.first + a, w) for a, w in enumerate(self.weights)]

    @property
    def denominator(self) -> int:
        """The least integer that makes every weight an integer."""
        return lcm(*(w.denominator for w in self.weights))


@dataclass(frozen=True)
class TransferPair:
    r"""A restriction and a prolongation on one axis.

    ``(R y)_I = sum_a r_a y_{f I + a}`` and ``(P Y)_i = sum_I p_{i - f I} Y_I`` for the factor ``f``.

    Parameters
    ----------
    factor : int
        Fine cells in one coarse cell.
    restriction, prolongation : Taps
        ``r`` and ``p``.

    Examples
    --------
    >>> pair = named_pair("linear", 2)
    >>> [str(c) for _, c in pair.composite().items()]
    ['1/8', '1/2', '3/4', '1/2', '1/8']
    """

    factor: int
    restriction: Taps
    prolongation: Taps

    def composite(self, stride: int = 1) -> Taps:
        """Return ``c_t = sum_a r_a p_{stride a - t}``: all that the map of stencils knows of R and P.

        Pairs with the same composite move stencils in the same way.

        Parameters
        ----------
        stride : int
            Of the convolution: R acts on its outputs, which lie on every stride-th fine cell.
        """
        r, p = self.restriction, self.prolongation
        low = stride * r.first - (p.first + len(p.weights) - 1)
        total = [Fraction(0)] * (stride * (len(r.weights) - 1) + len(p.weights))
        for a, weight in r.items():
            for b, other in p.items():
                total[stride * a - b - low] += weight * other
        return Taps(low, tuple(total))


def _hat(f: int) -> Taps:
    """Linear interpolation between coarse cell centres, at the fine cell centres."""
    first = -(f // 2)
    weights = [1 - abs(Fraction(2 * b + 1, 2 * f) - Fraction(1, 2)) for b in range(first, f + f // 2)]
    return Taps(first, tuple(weights))


def _linear(f: int) -> TransferPair:
    return TransferPair(f, Taps(0, (Fraction(1, f),) * f), _hat(f))


def _average(f: int) -> TransferPair:
    return TransferPair(f, Taps(0, (Fraction(1, f),) * f), Taps(0, (Fraction(1),) * f))


def _full_weighting(f: int) -> TransferPair:
    hat = [Fraction(f - abs(b), f) for b in range(1 - f, f)]
    return TransferPair(f, Taps(1 - f, tuple(w / f for w in hat)), Taps(1 - f, tuple(hat)))


TRANSFERS: dict[str, Callable[[int], TransferPair]] = {
    "linear": _linear,
    "average": _average,
    "full-weighting": _full_weighting,
}
Transfer = str | Callable[[int], TransferPair]
IDENTITY = Taps(0, (Fraction(1),))


def named_pair(transfer: Transfer, factor: int) -> TransferPair:
    """Return the pair (R, P) of one axis.

    Parameters
    ----------
    transfer : str or callable
        ``"linear"`` (cell-centred averaging and linear interpolation; the paper's Example 1),
        ``"average"`` (averaging and piecewise constant P, ``P = f R^T``), ``"full-weighting"``
        (vertex-centred), or a function from the factor to a :class:`TransferPair`.
    factor : int
        Coarsening factor; 1 gives the identity whatever the transfer, for axes that stay as they are
        (the frames of a video, say).

    Returns
    -------
    TransferPair

    Raises
    ------
    RefmgError
        If the name is unknown, the factor is below 1, or a function returns no pair of this factor.

    Examples
    --------
    >>> [str(w) for w in named_pair("linear", 2).prolongation.weights]
    ['1/4', '3/4', '3/4', '1/4']
    >>> [str(w) for w in named_pair("full-weighting", 2).restriction.weights]
    ['1/4', '1/2', '1/4']
    """
    if factor < 1:
        raise RefmgError(f"found factor {factor}; expected 1 or more fine cells in a coarse one")
    if not callable(transfer):
        transfer = TRANSFERS[_known(transfer)]
    if factor == 1:
        return TransferPair(1, IDENTITY, IDENTITY)
    pair = transfer(factor)
    if not isinstance(pair, TransferPair) or pair.factor != factor:
        of = f" of factor {pair.factor}" if isinstance(pair, TransferPair) else ""
        raise RefmgError(
            f"found {type(pair).__name__}{of} from {transfer_name(transfer)}; expected a TransferPair of "
            f"factor {factor}: matrices R and P go to refmg.check_galerkin"
        )
    return pair


def transfer_name(transfer: Transfer) -> str:
    """Return how messages name a transfer: a function by its own name, not by its address.

    Examples
    --------
    >>> transfer_name("linear"), transfer_name(_hat)
    ("'linear'", '_hat')
    """
    return getattr(transfer, "__name__", repr(transfer))


def _known(transfer: object) -> str:
    if not isinstance(transfer, str):
        raise RefmgError(
            f"found {type(transfer).__name__} as the transfer; expected a name or a function from the factor "
            "to a TransferPair: matrices R and P go to refmg.check_galerkin"
        )
    if transfer not in TRANSFERS:
        raise RefmgError(one_of("transfer", transfer, TRANSFERS))
    return transfer


def coarse_shape(shape: Shape, factor: int | Shape = 2) -> Shape:
    """Return the cells of the coarse grid.

    Parameters
    ----------
    shape : tuple of int
        Cells of the fine grid.
    factor : int or tuple of int
        Coarsening factor, one for all axes or one each.

    Returns
    -------
    tuple of int

    Raises
    ------
    RefmgError
        If a factor does not divide the number of cells.

    Examples
    --------
    >>> coarse_shape((28, 28))
    (14, 14)
    >>> coarse_shape((27, 28))
    Traceback (most recent call last):
        ...
    refmg_backends.errors.RefmgError: found a fine grid of (27, 28) cells, which the factor (2, 2) does \
not divide; expected multiples of it: pad or crop the images to (28, 28)
    """
    cells = grid_cells(shape)
    factors = per_axis("factor", factor, len(cells))
    if any(n % f for n, f in zip(cells, factors, strict=True)):
        near = tuple(-(-n // f) * f for n, f in zip(cells, factors, strict=True))
        raise RefmgError(
            f"found a fine grid of {cells} cells, which the factor {factors} does not divide; "
            f"expected multiples of it: pad or crop the images to {near}"
        )
    return tuple(n // f for n, f in zip(cells, factors, strict=True))
