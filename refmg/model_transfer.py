"""Convolution stencils found among the tensors of any model, and moved to another resolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.covariance import Spectrum
from refmg.stencil import per_axis
from refmg.stencil_maps import SPECTRUM, AnyMap, AnyTransfer, named_map, stencil_transfer_names
from refmg.tensor_selection import (
    STENCIL_AXES,
    TensorRecord,
    TensorSelection,
    keep_reason,
    moving_axes,
    no_stencils,
)
from refmg.transfer import Shape
from refmg_backends import RefmgError, one_of

Array = NDArray[Any]
DIRECTIONS = ("coarse", "fine")


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
        moving = moving_axes(width, factor)
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
    others: Sequence[TensorRecord] = (),
) -> tuple[dict[str, Array], list[TensorRecord]]:
    """Move every convolution stencil among the tensors of a model.

    Names and shapes decide what a stencil is: three, four or five axes ``(C_out, C_in, k_1, .., k_d)``
    with odd widths, wider than 1 along an axis that the factor changes. What looks like one and is none
    is kept: a ``weight`` beside a ``bias`` of the same shape, as layer norms have it; and, beside
    convolutions in two or three dimensions, three axes (a layer norm without bias, a bilinear form)
    unless :attr:`TensorSelection.include` names them.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        A model's state, by name.
    change : ResolutionChange
    selection : TensorSelection, optional
        Patterns of names.
    others : sequence of TensorRecord
        What belongs to the model but could not be read, for patterns and messages.

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
    chosen.check([*tensors, *(record.name for record in others)])
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    unlike = no_stencils(shapes, others, chosen)
    moved, records = dict[str, Array](), list[TensorRecord]()
    for name, tensor in tensors.items():
        about = (name, tuple(tensor.shape), str(tensor.dtype))
        reason = _kept(name, tensor, change.factor, chosen) or unlike.get(name)
        if reason is None:
            with np.errstate(invalid="ignore"):  # a signalling NaN, which is refused as any other
                wide = tensor.astype(np.float64)
            moved[name] = _named(name, partial(change.stencil, wide))
            width = " x ".join(map(str, tensor.shape[2:]))
            records.append(TensorRecord(*about, True, width, growth(tensor, moved[name])))
        else:
            records.append(TensorRecord(*about, False, reason))
    if not moved:
        raise RefmgError(_nothing([*records, *others]))
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
    largest = max(float(np.abs(s).max(initial=0)) for s in (before, after))
    # By a power of two, which is exact: squares of the largest floats would overflow.
    scale = 2.0 ** -min(np.frexp(largest)[1], 1000) if np.isfinite(largest) else 1.0
    old, new = (float(np.linalg.norm(s.astype(np.float64) * scale)) for s in (before, after))
    return 1.0 if old == new else new / old if old else float("inf")
