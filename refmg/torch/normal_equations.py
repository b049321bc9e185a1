"""Ridge regression towards a prior, from sums that are streamed over examples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from refmg.torch.sums import Tensors, TensorSums
from refmg_backends import RefmgError

SUMMED = ("xx", "yx", "x", "y", "yy", "rr")


@dataclass(frozen=True, eq=False)
class Solution:
    """Weights, intercept, and how well the prior and they predict.

    Parameters
    ----------
    weights : Tensor, shape (groups, outputs, inputs)
    intercept : Tensor, shape (groups, outputs)
    before, after : float
        Sum of squares that is not predicted, over that of the targets about their means (about zero
        without intercept): of the prior with its own best intercept, and of the solution.
    equations : int
        Of each output: examples, over all ranks.
    """

    weights: Tensor
    intercept: Tensor
    before: float
    after: float
    equations: int


class NormalEquations:
    r"""Sums of products of inputs x and targets y, in float64, of several groups side by side.

    Parameters
    ----------
    sums : TensorSums, optional
        Where the examples that are added are those of one rank.

    :meth:`solve` minimises, for each group,

    .. math:: \sum_i |W x_i + b - y_i|^2 + \sum_j w_j |W r_j|^2 + \lambda \, |W - W_0|^2.

    Examples
    --------
    >>> equations = NormalEquations()
    >>> x = torch.tensor([[[0.0, 1.0, 2.0]]])
    >>> equations.add(x, 3 * x + 1)
    >>> solution = equations.solve(prior=torch.zeros(1, 1, 1), ridge=0.0, intercept=True)
    >>> [round(number, 12) for number in (solution.weights.item(), solution.intercept.item())]
    [3.0, 1.0]
    >>> round(solution.before, 12), round(solution.after, 12)
    (1.0, 0.0)
    """

    def __init__(self, sums: TensorSums | None = None) -> None:
        self.sums, self.terms = sums, list[Tensors]()
        self.x0: Tensor | None = None
        self.y0: Tensor | None = None
        self._clear()

    def _clear(self) -> None:
        self.count = 0
        # Sums of products, and sums, about the mean of the first examples: centres x0 and y0.
        self.xx = self.yx = self.x = self.y = self.yy = self.rr = torch.zeros((), dtype=torch.float64)

    def close(self) -> None:
        """End a batch, where sums are made of fixed blocks of examples."""
        if self.sums is not None and self.sums.share.deterministic:
            self._end()

    def _end(self) -> None:
        count = torch.tensor(float(self.count), dtype=torch.float64)
        self.terms.append((count, *(getattr(self, name) for name in SUMMED)))
        self._clear()

    def _take_totals(self, sums: TensorSums) -> None:
        """Replace what this rank added by the sums over all ranks."""
        if self.count:
            self._end()
        count, *totals = sums.total(self.terms)
        self.count, self.terms = int(count), []
        for name, total in zip(SUMMED, totals, strict=True):
            setattr(self, name, total)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add examples.

        Parameters
        ----------
        x : Tensor, shape (groups, inputs, examples)
        y : Tensor, shape (groups, outputs, examples)

        Notes
        -----
        Products are formed in the precision of the features, about the mean of the first examples: in
        float32, features far from zero would otherwise lose in their squares what distinguishes them.
        """
        if self.x0 is None or self.y0 is None:
            self.x0, self.y0 = _centre(x), _centre(y)
            if self.sums is not None:
                self.x0, self.y0 = self.sums.first(self.x0), self.sums.first(self.y0)
        x, y = x - self.x0.to(x)[..., None], y - self.y0.to(y)[..., None]
        self.count += x.shape[-1]
        self.xx = self.xx.to(x.device) + (x @ x.mT).double()
        self.yx = self.yx.to(x.device) + (y @ x.mT).double()
        self.x = self.x.to(x.device) + x.sum(-1, dtype=torch.float64)
        self.y = self.y.to(x.device) + y.sum(-1, dtype=torch.float64)
        self.yy = self.yy.to(x.device) + y.double().square().sum(-1)

    def penalize(self, r: Tensor, weight: float) -> None:
        """Add inputs whose response shall be small.

        Parameters
        ----------
        r : Tensor, shape (groups, inputs, examples)
        weight : float
        """
        self.rr = self.rr.to(r.device) + weight * (r @ r.mT).double()

    def solve(self, prior: Tensor, ridge: float, intercept: bool) -> Solution:
        r"""Return the minimiser.

        Parameters
        ----------
        prior : Tensor, shape (groups, outputs, inputs)
            :math:`W_0`.
        ridge : float
            :math:`\lambda` over the mean sum of squares of an input (about its mean, with intercept), so
            that a value means the same whatever the scale and number of examples.
        intercept : bool
            Whether b is free, else 0.

        Raises
        ------
        RefmgError
            If inputs, targets or prior are not finite, or `ridge` is negative.
        """
        if ridge < 0:
            raise RefmgError(f"found ridge {ridge}; expected 0 or more")
        if self.sums is not None:
            self._take_totals(self.sums)
        start = prior.double()
        A, B, yy = self._about(intercept)
        weight = ridge * A.diagonal(dim1=-2, dim2=-1).mean(-1)
        # A multiple of eps times the trace keeps inputs that are always zero at the prior.
        least = A.shape[-1] * torch.finfo(torch.float64).eps * A.diagonal(dim1=-2, dim2=-1).sum(-1)
        shift = torch.maximum(weight, least).clamp_min(torch.finfo(torch.float64).tiny)
        penalized = A + self.rr.to(A.device)
        regular = penalized + shift[:, None, None] * torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
        if not (torch.isfinite(regular).all() and torch.isfinite(B).all() and torch.isfinite(start).all()):
            raise RefmgError("found features or weights that are NaN or infinite; expected finite ones")
        # The matrix is symmetric: solved for the rows of W.
        W = start + torch.linalg.solve(regular, (B - start @ penalized).mT).mT
        x, y = self._sums()
        b = (y - (W @ x[..., None])[..., 0]) / self.count
        scale = float(yy.sum())
        before, after = (_misfit(V, A, B, yy) / scale if scale else 0.0 for V in (start, W))
        return Solution(W, b if intercept else torch.zeros_like(b), before, after, self.count)

    def _about(self, intercept: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return the second moments, about the means if there is an intercept, else about zero."""
        x, y, m = self.x, self.y, self.count
        A, B, yy = self.xx - _outer(x, x) / m, self.yx - _outer(y, x) / m, self.yy - y.square() / m
        if intercept:
            return A, B, yy
        x, y = self._sums()
        return A + _outer(x, x) / m, B + _outer(y, x) / m, yy + y.square() / m

    def _sums(self) -> tuple[Tensor, Tensor]:
        """Return the sums of inputs and of targets, about zero."""
        assert self.x0 is not None
        assert self.y0 is not None
        return self.x + self.count * self.x0.double(), self.y + self.count * self.y0.double()


def _centre(x: Tensor) -> Tensor:
    """Return the mean of each row in the precision of the features, which subtracts it without rounding."""
    return x.mean(-1, dtype=torch.float64).to(x.dtype)


def _outer(a: Tensor, b: Tensor) -> Tensor:
    return a[..., None] * b[..., None, :]


def _misfit(W: Tensor, A: Tensor, B: Tensor, yy: Tensor) -> float:
    """Return the sum of squares that W leaves, from the moments; rounding may not make it negative."""
    return max(0.0, float(yy.sum() - 2 * (W * B).sum() + (W * (W @ A)).sum()))
