"""Which tensors of a model are convolution stencils: names and shapes decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import prod

from refmg.stencil import per_axis
from refmg.transfer import Shape
from refmg_backends import RefmgError

STENCIL_AXES = (3, 4, 5)  # of the weights of convolutions in one, two and three dimensions
PLANE_AXES = (4, 5)
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
    >>> keep_reason((0, 3, 3, 3), 2)
    'empty'
    """
    if len(shape) not in STENCIL_AXES:
        return "vector or matrix" if len(shape) < 3 else f"{len(shape)} axes"
    if not prod(shape):
        return "empty"
    width = shape[2:]
    if any(k % 2 == 0 for k in width):
        return f"even width {' x '.join(map(str, width))}"
    return None if moving_axes(width, per_axis("factor", factor, len(width))) else "pointwise"


def moving_axes(width: Shape, factor: Shape) -> Shape:
    """Return the axes that are wider than 1; none if the factor changes none of them.

    Examples
    --------
    >>> moving_axes((3, 1, 5), (2, 2, 1)), moving_axes((3, 1), (1, 2))
    ((0, 2), ())
    """
    wide = tuple(axis for axis, k in enumerate(width) if k > 1)
    return wide if any(factor[axis] > 1 for axis in wide) else ()


def no_stencils(
    shapes: Mapping[str, Shape], others: Sequence[TensorRecord], chosen: TensorSelection
) -> dict[str, str]:
    """Return the reasons to keep what the tensors beside it show to be no stencil.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Tensors that may be stencils.
    others : sequence of TensorRecord
        More tensors of the same model.
    chosen : TensorSelection

    Returns
    -------
    dict of str to str
        By name; those that may be stencils are not in it.

    Examples
    --------
    >>> shapes = {"norm.weight": (8, 7, 7), "norm.bias": (8, 7, 7), "conv.weight": (8, 3, 3)}
    >>> no_stencils(shapes, [], TensorSelection())
    {'norm.weight': 'bias of the same shape'}
    """
    everything = dict(shapes) | {record.name: record.shape for record in others}
    weights = [name for name in everything if name.rpartition(".")[2] in WEIGHT_NAMES]
    planes = any(len(everything[name]) in PLANE_AXES for name in weights)
    reasons = {}
    for name, shape in shapes.items():
        before, dot, last = name.rpartition(".")
        if last in WEIGHT_NAMES and everything.get(f"{before}{dot}bias") == shape:
            reasons[name] = "bias of the same shape"
        elif len(shape) == 3 and planes and not chosen.include:
            reasons[name] = "3 axes, other kernels have more: only by include"
    return reasons
