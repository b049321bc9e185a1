"""Convolution stencils found among the tensors of any model, and moved to another resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.stencil import per_axis
from refmg.stencil_map import StencilMap
from refmg.transfer import Shape, Transfer
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
    return tuple(axis for axis, (k, f) in enumerate(zip(width, factor, strict=True)) if k > 1 and f > 1)


def move_stencil(stencil: Array, factor: int | Shape, direction: str, transfer: Transfer = "linear") -> Array:
    """Move one stencil to the coarser or finer grid, axis by axis where the factors differ.

    Parameters
    ----------
    stencil : ndarray, shape (C_out, C_in, k_1, .., k_d)
        Grouped and depthwise stencils as they are stored. Odd widths; along axes of width 1 or of
        factor 1 nothing changes.
    factor : int or tuple of int
        Coarsening factor, one for all axes or one each; 1 leaves an axis alone.
    direction : {"coarse", "fine"}
    transfer : str or callable
        See :func:`refmg.named_pair`.

    Returns
    -------
    ndarray
        The same shape; float64 unless the stencil is float32.

    Raises
    ------
    ClosureError, RefmgError
        As :class:`refmg.StencilMap`; also for an unknown direction.

    Examples
    --------
    >>> move_stencil(np.array([[[[0.0, 0, 0], [1, -2, 1], [0, 0, 0]]]]), (1, 2), "coarse")
    array([[[[ 0.  ,  0.  ,  0.  ],
             [ 0.25, -0.5 ,  0.25],
             [ 0.  ,  0.  ,  0.  ]]]])
    """
    if direction not in DIRECTIONS:
        raise RefmgError(one_of("direction", direction, DIRECTIONS))
    width = stencil.shape[2:]
    factors = per_axis("factor", factor, len(width))
    moving = _moving_axes(width, factors)
    if not moving:
        return stencil
    stencil_map = _map(transfer, tuple(width[a] for a in moving), tuple(factors[a] for a in moving))
    last = tuple(range(stencil.ndim - len(moving), stencil.ndim))
    ordered = np.moveaxis(stencil, [2 + a for a in moving], last)
    # The axes that stay are counted as channels: the map acts on each of their taps alike.
    flat = ordered.reshape(1, -1, *ordered.shape[last[0] :])
    moved = (stencil_map.restrict if direction == "coarse" else stencil_map.prolong)(flat)
    return np.moveaxis(moved.reshape(ordered.shape), last, [2 + a for a in moving])


@lru_cache(maxsize=64)
def _map(transfer: Transfer, width: Shape, factor: Shape) -> StencilMap:
    return StencilMap(width, len(width), transfer, factor)


def transfer_tensors(
    tensors: Mapping[str, Array],
    factor: int | Shape,
    direction: str,
    transfer: Transfer = "linear",
    selection: TensorSelection | None = None,
) -> tuple[dict[str, Array], list[TensorRecord]]:
    """Move every convolution stencil among the tensors of a model.

    Names and shapes decide what a stencil is: three, four or five axes ``(C_out, C_in, k_1, .., k_d)``
    with odd widths, wider than 1 along an axis that the factor changes.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        A model's state, by name.
    factor : int or tuple of int
        Coarsening factor between the two resolutions, one for all axes or one each.
    direction : {"coarse", "fine"}
        Where the model shall work.
    transfer : str or callable
        See :func:`refmg.named_pair`.
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
    >>> moved, records = transfer_tensors(state, 2, "coarse")
    >>> [(record.name, record.moved, record.reason) for record in records]
    [('conv.weight', True, '3 x 3'), ('norm.weight', False, 'vector or matrix')]
    """
    chosen = selection or TensorSelection()
    chosen.check(tensors)
    moved, records = dict[str, Array](), list[TensorRecord]()
    for name, tensor in tensors.items():
        about = (name, tuple(tensor.shape), str(tensor.dtype))
        reason = _kept(name, tensor, factor, chosen)
        if reason is None:
            moved[name] = _named(name, partial(_moved, tensor, factor, direction, transfer))
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
    return chosen.why_not(name) or _named(name, partial(keep_reason, shape, factor))


def _moved(tensor: Array, factor: int | Shape, direction: str, transfer: Transfer) -> Array:
    return move_stencil(tensor.astype(np.float64), factor, direction, transfer)


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
