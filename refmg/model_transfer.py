"""Convolution stencils found among the tensors of any model, and moved to another resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.covariance import Spectrum
from refmg.stencil import per_axis
from refmg.stencil_maps import SPECTRUM, AnyMap, AnyTransfer, named_map, stencil_transfer_names
from refmg.transfer import Shape
from refmg_backends import RefmgError, one_of

Array = NDArray[Any]
DIRECTIONS = ("coarse", "fine")
STENCIL_AXES = (3, 4, 5)  # of the weights of convolutions in one, two and three dimensions
WEIGHT_NAMES = ("weight", "kernel")


@dataclass(frozen=True)
class TensorRecord:
    """What became of one tensor.

    Parameters
    ----------
    name : str
    shape : tuple of int
    dtype : str
    moved : bool
    reason : str
        Why it was moved or kept.
    growth : float
        Frobenius norm after over before; 1 where it was kept.
    """

    name: str
    shape: Shape
    dtype: str
    moved: bool
    reason: str
    growth: float = 1.0


@dataclass(frozen=True)
class TensorSelection:
    """Which tensors may be stencils, by patterns such as ``"layer1.*"`` (:mod:`fnmatch`).

    Parameters
    ----------
    include : sequence of str
        If given, a name must fit one of them; it may then have any ending. Without them it must end
        in ``weight`` or ``kernel``.
    exclude : sequence of str
        A name that fits one of them is kept.

    Examples
    --------
    >>> TensorSelection(exclude=["stem.*"]).why_not("stem.weight")
    'excluded'
    """

    include: Sequence[str] = field(default=())
    exclude: Sequence[str] = field(default=())

    def why_not(self, name: str) -> str | None:
        """Return the reason to keep a tensor of this name; None if there is none."""
        if any(fnmatchcase(name, pattern) for pattern in self.exclude):
            return "excluded"
        if self.include:
            return None if any(fnmatchcase(name, pattern) for pattern in self.include) else "not included"
        return None if name.rpartition(".")[2] in WEIGHT_NAMES else "not called weight or kernel"

    def check(self, names: Iterable[str]) -> None:
        """Refuse a pattern that fits no name: most likely it is misspelt.

        Raises
        ------
        RefmgError
            With the closest name.
        """
        known = list(names)
        for pattern in (*self.include, *self.exclude):
            if not any(fnmatchcase(name, pattern) for name in known):
                raise RefmgError(_unmatched(pattern, known))


def _unmatched(pattern: str, names: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(pattern, names, n=1) or names[:1]
    return f"found no tensor that fits {pattern!r}; expected the pattern of some name, such as {near[0]!r}"


def keep_reason(shape: Shape, factor: int | Shape) -> str | None:
    """Return why a tensor of this shape is no stencil that the factor changes; None if it is one.

    Parameters
    ----------
    shape : tuple of int
        ``(C_out, C_in, k_1, .., k_d)``, or anything else.
    factor : int or tuple of int
        One for all axes or one each.

    Examples
    --------
    >>> keep_reason((64, 3, 7, 7), 2), keep_reason((64, 32, 1, 1), 2), keep_reason((10, 64), 2)
    (None, 'pointwise', 'vector or matrix')
    """
    if len(shape) not in STENCIL_AXES:
        return "vector or matrix" if len(shape) < 3 else f"{len(shape)} axes"
    width = shape[2:]
    if any(k % 2 == 0 for k in width):
        return f"even width {' x '.join(map(str, width))}"
    return None if _moving_axes(width, per_axis("factor", factor, len(width))) else "pointwise"


def _moving_axes(width: Shape, factor: Shape) -> Shape:
    """Return the axes that are wider than 1; none if the factor changes none of them."""
    wide = tuple(axis for axis, k in enumerate(width) if k > 1)
    return wide if any(factor[axis] > 1 for axis in wide) else ()


class ResolutionChange:
    """How stencils move between two resolutions; the maps are made once for each width.

    Parameters
    ----------
    factor : int or tuple of int
        Between the resolutions, one for all axes or one each; 1 leaves an axis alone.
    direction : {"coarse", "fine"}
        Where the stencils shall work.
    transfer : str, callable or Covariance
        See :func:`refmg.named_map`.
    closure : {"exact", "least-squares"}
        As in :class:`refmg.StencilMap`.
    images : ndarray, shape (C, n_1, .., n_d, m), optional
        On the fine grid, for ``"spectrum"``.

    Raises
    ------
    RefmgError
        For an unknown direction, or ``"spectrum"`` without images.

    Examples
    --------
    >>> change = ResolutionChange(factor=(1, 2), direction="coarse")
    >>> change.stencil(np.array([[[[0.0, 0, 0], [1, -2, 1], [0, 0, 0]]]]))
    array([[[[ 0.  ,  0.  ,  0.  ],
             [ 0.25, -0.5 ,  0.25],
             [ 0.  ,  0.  ,  0.  ]]]])
    """

    def __init__(
        self,
        factor: int | Shape,
        direction: str,
        transfer: AnyTransfer = "linear",
        closure: str = "exact",
        images: Any = None,
    ) -> None:
        if direction not in DIRECTIONS:
            raise RefmgError(one_of("direction", direction, DIRECTIONS))
        if isinstance(transfer, str) and transfer not in stencil_transfer_names():
            raise RefmgError(one_of("transfer", transfer, stencil_transfer_names()))
        self.factor, self.direction, self.name, self.closure = factor, direction, str(transfer), closure
        # Images are looked at once, not once a width.
        self.transfer = Spectrum.of(images) if transfer == SPECTRUM and images is not None else transfer
        self._maps: dict[tuple[Shape, ...], AnyMap] = {}

    def stencil(self, s: Array, stride: Shape | None = None) -> Array:
        """Move one stencil.

        Parameters
        ----------
        s : ndarray, shape (C_out, C_in, k_1, .., k_d)
            Odd widths; grouped and depthwise ones as they are stored. Nothing happens along axes of
            width 1.
        stride : tuple of int, optional
            Of its convolution, 1 by default; some maps depend on it.

        Returns
        -------
        ndarray
            The same shape; float64 unless the stencil is float32.

        Raises
        ------
        ClosureError, RefmgError
            As :func:`refmg.named_map`.
        """
        width = s.shape[2:]
        factor, strides = per_axis("factor", self.factor, len(width)), stride or (1,) * len(width)
        moving = _moving_axes(width, factor)
        if not moving:
            return s
        first = s.ndim - len(moving)
        last = tuple(range(first, s.ndim))
        ordered = np.moveaxis(s, [2 + a for a in moving], last)
        # The axes that stay are counted as channels: the map acts on each of their taps alike.
        flat = ordered.reshape(1, -1, *ordered.shape[first:])
        stencil_map = self._map(*(tuple(of[a] for a in moving) for of in (width, factor, strides)))
        moved = (stencil_map.restrict if self.direction == "coarse" else stencil_map.prolong)(flat)
        return np.moveaxis(moved.reshape(ordered.shape), last, [2 + a for a in moving])

    def _map(self, width: Shape, factor: Shape, stride: Shape) -> AnyMap:
        key = (width, factor, stride)
        if key not in self._maps:
            d = len(width)
            self._maps[key] = named_map(self.transfer, width, d, factor, stride=stride, closure=self.closure)
        return self._maps[key]


def transfer_tensors(
    tensors: Mapping[str, Array],
    change: ResolutionChange,
    selection: TensorSelection | None = None,
) -> tuple[dict[str, Array], list[TensorRecord]]:
    """Move every convolution stencil among the tensors of a model.

    Names and shapes decide what a stencil is: three, four or five axes ``(C_out, C_in, k_1, .., k_d)``
    with odd widths, wider than 1 along an axis that the factor changes.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        A model's state, by name.
    change : ResolutionChange
    selection : TensorSelection, optional
        Patterns of names.

    Returns
    -------
    dict of str to ndarray
        The moved tensors alone.
    list of TensorRecord
        One a tensor, in the order of `tensors`.

    Raises
    ------
    RefmgError
        If a pattern fits no name, there is no stencil, or a stencil cannot be moved.

    Examples
    --------
    >>> state = {"conv.weight": np.ones((2, 1, 3, 3)), "norm.weight": np.ones(2)}
    >>> moved, records = transfer_tensors(state, ResolutionChange(2, "coarse"))
    >>> [(record.name, record.moved, record.reason) for record in records]
    [('conv.weight', True, '3 x 3'), ('norm.weight', False, 'vector or matrix')]
    """
    chosen = selection or TensorSelection()
    chosen.check(tensors)
    moved, records = dict[str, Array](), list[TensorRecord]()
    for name, tensor in tensors.items():
        about = (name, tuple(tensor.shape), str(tensor.dtype))
        reason = _kept(name, tensor, change.factor, chosen)
        if reason is None:
            moved[name] = _named(name, partial(change.stencil, tensor.astype(np.float64)))
            width = " x ".join(map(str, tensor.shape[2:]))
            records.append(TensorRecord(*about, True, width, growth(tensor, moved[name])))
        else:
            records.append(TensorRecord(*about, False, reason))
    if not moved:
        raise RefmgError(_nothing(records))
    return moved, records


def _kept(name: str, tensor: Array, factor: int | Shape, chosen: TensorSelection) -> str | None:
    if tensor.dtype.kind != "f":
        return f"type {tensor.dtype}"
    shape = tuple(tensor.shape)
    named = chosen.why_not(name) if len(shape) in STENCIL_AXES else None
    return named or _named(name, partial(keep_reason, shape, factor))


def _named(name: str, move: Callable[[], Any]) -> Any:
    try:
        return move()
    except RefmgError as error:
        raise type(error)(f"{name}: {error}") from error


def _nothing(records: list[TensorRecord]) -> str:
    reasons = sorted({record.reason for record in records})
    return (
        f"found no convolution stencil that the factor changes among {len(records)} tensors "
        f"({'; '.join(reasons) or 'none at all'}); expected weights of shape (C_out, C_in, k_1, .., k_d) "
        "with odd k > 1"
    )


def growth(before: Array, after: Array) -> float:
    """Return the Frobenius norm of `after` over that of `before`; 1 if both are zero."""
    old, new = (float(np.linalg.norm(s.astype(np.float64))) for s in (before, after))
    return 1.0 if old == new else new / old if old else float("inf")
