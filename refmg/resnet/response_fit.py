"""The stencil with which a convolution answers on its new grid as it did on the old one."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from refmg.calibration import StencilFit
from refmg.resnet.architecture import ConvolutionSpec
from refmg.resnet.grid_means import GridMeans
from refmg.resnet.pooling import gathered
from refmg_backends import Backend
from refmg_backends.backend import Array

PATCH_NUMBERS = 2**25  # at most so many numbers of patches at a time, 128 MB in float32


@dataclass(frozen=True)
class LayerFit:
    """How well a calibrated convolution repeats the old one's response.

    Attributes
    ----------
    name : str
    before, after : float
        Squares that are not predicted, over those of the response (about its mean, where a batch norm
        absorbs that): with the prior, and with the new stencil. 0 is perfect.
    """

    name: str
    before: float
    after: float


@dataclass(frozen=True)
class Moments:
    """Sums of products of inputs x and goals y on the host."""

    xx: NDArray[np.float64]
    yx: NDArray[np.float64]
    yy: float


class ResponseFit:
    r"""Normal equations of :math:`\sum \|Q K(s) y - Q' z\|^2 + w \|(I - P Q) K(s) y\|^2`, over batches.

    Parameters
    ----------
    backend : Backend
    new, old : ConvolutionSpec
        The convolution on both grids.
    dtype : str
        Of the features.
    centred : bool
        Whether means are left out, which a batch norm absorbs whose statistics are re-estimated.
    smoothness : float
        w, over the number of new cells in each old one.

    Notes
    -----
    y are the features that reach the layer in the new network, z is the response of the old one, Q and Q'
    average both to the coarser of their grids, P is constant in its cells. Where the grids divide, Q P = I
    and P Q is an orthogonal projection, so that the penalty's matrix is the Gram matrix of what the taps see
    less that of its means; where they do not, there is no penalty.
    """

    def __init__(
        self,
        backend: Backend,
        new: ConvolutionSpec,
        old: ConvolutionSpec,
        dtype: str,
        centred: bool,
        smoothness: float,
    ) -> None:
        self.backend, self.xp, self.new, self.centred = backend, backend.xp, new, centred
        grids = new.geometry.out_shape, old.geometry.out_shape
        common = tuple(min(pair) for pair in zip(*grids, strict=True))
        self.means = [GridMeans(backend, grid, common, dtype) for grid in grids]
        block = self.means[0].block
        self.smoothness = smoothness if block not in (None, 1) else 0.0
        self.count = 0
        self.centres: list[Array] = []
        self.sums: list[Array] = []

    def add(self, X: Array, Z: Array) -> None:
        """Add examples.

        Parameters
        ----------
        X : array, shape (C_in, cells, m)
            What reaches the convolution in the new network.
        Z : array, shape (C_out, old_out_cells, m)
            What it answers in the old one.
        """
        geometry, m = self.new.geometry, X.shape[-1]
        step = max(1, PATCH_NUMBERS // (X.shape[0] * geometry.taps * geometry.out_cells))
        for i in range(0, m, step):
            part = slice(i, min(i + step, m))
            self._add(gathered(self.backend, X[..., part], geometry), Z[..., part])

    def _add(self, taps: Array, Z: Array) -> None:
        xp = self.xp
        x, y = (_rows(xp, means.apply(Y)) for means, Y in zip(self.means, (taps, Z), strict=True))
        if not self.centres:  # about the first examples' means, large means lose no digits
            self.centres = [xp.mean(a, axis=1)[:, None] for a in (x, y)]
        plain, full = x, _rows(xp, taps)
        x, y = x - self.centres[0], y - self.centres[1]
        products = [x @ xp.matrix_transpose(x), y @ xp.matrix_transpose(x), y * y, x, y]
        sums = [*products[:2], *(xp.sum(p, axis=1) for p in products[2:])]
        if self.smoothness:
            whole, part = (a @ xp.matrix_transpose(a) for a in (full, plain))
            sums.append(whole - self.means[0].block * part)
        sums = [xp.astype(s, xp.float64) for s in sums]
        self.sums = sums if not self.sums else [a + b for a, b in zip(self.sums, sums, strict=True)]
        self.count += x.shape[1]

    def moments(self) -> Moments:
        """Return the sums on the host, about the means or about 0."""
        host = [np.asarray(self.backend.to_numpy(s), dtype=np.float64) for s in self.sums]
        xx, yx, yy, x, y = host[:5]
        n = self.count
        xx, yx = xx - np.outer(x, x) / n, yx - np.outer(y, x) / n
        square = float(yy.sum() - (y**2).sum() / n)
        if self.centred:
            return Moments(xx, yx, square)
        centres = (np.asarray(self.backend.to_numpy(c), dtype=np.float64)[:, 0] for c in self.centres)
        mx, my = (c + s / n for c, s in zip(centres, (x, y), strict=True))
        return Moments(
            xx + n * np.outer(mx, mx), yx + n * np.outer(my, mx), square + n * float((my**2).sum())
        )

    def solve(self, prior: NDArray[np.floating], ridge: float) -> tuple[NDArray[np.float64], LayerFit]:
        """Return the stencil, and how well it fits.

        Parameters
        ----------
        prior : ndarray, shape (C_out, C_in, k_1, k_2)
        ridge : float
            Weight of the squared distance to it, over the mean square of an input.

        Raises
        ------
        RefmgError
            If features or the prior are not finite.
        """
        found, shape = self.moments(), self.new.stencil_shape
        fit = StencilFit([], 0, 0)
        fit.normal, fit.right = found.xx, found.yx.T
        fit.penalty = np.zeros_like(found.xx)
        if self.smoothness:
            rough = np.asarray(self.backend.to_numpy(self.sums[5]), dtype=np.float64)
            fit.penalty = self.smoothness / self.means[0].block * rough  # type: ignore[operator]
        start = np.asarray(prior, dtype=np.float64).reshape(shape[0], prod(shape[1:]))
        W = fit.solve(start, ridge)
        before, after = (_misfit(V, found) for V in (start, W))
        return W.reshape(shape), LayerFit(self.new.name, before, after)


def _rows(xp: ModuleType, X: Array) -> Array:
    return xp.reshape(X, (X.shape[0], X.shape[1] * X.shape[2]))


def _misfit(W: NDArray[np.float64], found: Moments) -> float:
    """Return the squares that W leaves over those of the goals; rounding may not make it negative."""
    left = found.yy - 2 * float((W * found.yx).sum()) + float((W * (W @ found.xx)).sum())
    return max(0.0, left / found.yy) if found.yy > 0 else 0.0
