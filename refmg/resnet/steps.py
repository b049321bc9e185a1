"""Convolutions with their batch norms, alone and in blocks, forward and back, and what is kept in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from refmg.resnet.architecture import BlockSpec, ConvolutionSpec
from refmg.resnet.batch_norm import EPSILON, BatchNorm, batch_norm, updated_statistics
from refmg.resnet.batch_sums import BatchSums
from refmg.resnet.blocks import Blocks, each
from refmg_backends import Backend, RefmgError
from refmg_backends.backend import Array

Arrays = dict[str, Array]
STORAGES = ("full", "half")
MOST_HALF = 65504.0  # the largest number of float16


class Kept:
    """Features that are kept for the way back, in their own precision or rounded to float16.

    What float16 cannot hold is kept as its largest number: infinities would make the gradient NaN.

    Parameters
    ----------
    backend : Backend
    X : array or Blocks
    half : bool
        Whether to round.

    Raises
    ------
    RefmgError
        If the backend has no float16.
    """

    def __init__(self, backend: Backend, X: Array, half: bool) -> None:
        self._xp, self._dtype = backend.xp, X.dtype
        if half and not hasattr(backend.xp, "float16"):
            raise RefmgError(f"found no float16 in the backend {backend.name!r}; expected storage='full'")
        self._kept = each(self._rounded, X) if half else X

    def _rounded(self, X: Array) -> Array:
        held = self._xp.maximum(self._xp.minimum(X, MOST_HALF), -MOST_HALF)
        return self._xp.astype(held, self._xp.float16)

    def get(self) -> Array:
        """Return the features in the precision that they had."""
        if self._kept.dtype == self._dtype:
            return self._kept
        return each(self._xp.astype, self._kept, self._dtype)


@dataclass(frozen=True)
class Step:
    """A convolution and its batch norm that were run.

    Attributes
    ----------
    spec : ConvolutionSpec
    kernel : ConvolutionKernel
    X, A, Y : Kept
        Input, response of the convolution, output.
    norm : BatchNorm
        Without its output, which is `Y`.
    """

    spec: ConvolutionSpec
    kernel: Any
    X: Kept
    A: Kept
    Y: Kept
    norm: BatchNorm


@dataclass(frozen=True)
class BlockSteps:
    """A basic block that was run."""

    first: Step
    second: Step
    shortcut: Step | None


class TrainingRun:
    """Runs convolutions in training mode and back, and gathers statistics and gradients by name.

    Parameters
    ----------
    backend : Backend
    parameters, statistics : dict of str to array
    momentum : float
        Of the running statistics.
    half : bool
        Whether what is kept is rounded to float16.
    epsilon : float
        What the norms add to variances.
    sums : BatchSums, optional
        Of a batch that ranks share; each runs its part. Gradients of batch norms are then those of the whole
        batch, and gradients of stencils those of the part until :meth:`sum_over_ranks`.
    """

    def __init__(
        self,
        backend: Backend,
        parameters: Arrays,
        statistics: Arrays,
        momentum: float,
        half: bool,
        epsilon: float = EPSILON,
        sums: BatchSums | None = None,
    ) -> None:
        self.backend, self.parameters, self.momentum, self.half = backend, parameters, momentum, half
        self.statistics, self.gradient, self.epsilon = dict(statistics), Arrays(), epsilon
        self.sums, self.partial = sums, Arrays()

    def keep(self, X: Array) -> Kept:
        """Keep features for the way back."""
        return Kept(self.backend, X, self.half)

    def forward(
        self,
        spec: ConvolutionSpec,
        X: Array,
        kept: Kept,
        base: Array | None = None,
        rectify: bool = True,
    ) -> tuple[Array, Step]:
        """Return the output of one convolution with its norm, and what the way back needs.

        Parameters
        ----------
        spec : ConvolutionSpec
        X : array, shape (C_in, cells, m)
        kept : Kept
            The same, as it is kept.
        base : array, shape (C_out, out_cells, m), optional
            Added before the rectifier.
        rectify : bool
        """
        p = self.parameters
        kernel = self.backend.convolution(p[f"{spec.name}.weight"], spec.geometry)
        A = each(kernel.apply, X)
        weights = p[f"{spec.norm}.weight"], p[f"{spec.norm}.bias"]
        norm = batch_norm(self.backend, A, *weights, None, base, rectify, self.epsilon, self.sums)
        self._count(spec, norm, A.shape[1] * (self.sums.examples if self.sums else A.shape[2]))
        Y, output = self.keep(norm.output), norm.output
        return output, Step(spec, kernel, kept, self.keep(A), Y, replace(norm, output=None))

    def _count(self, spec: ConvolutionSpec, norm: BatchNorm, numbers: int) -> None:
        names = f"{spec.norm}.running_mean", f"{spec.norm}.running_var"
        running = tuple(self.statistics[name] for name in names)
        found = updated_statistics(running, norm, numbers, self.momentum)  # type: ignore[arg-type]
        self.statistics.update(zip(names, found, strict=True))

    def back(
        self, step: Step, P: Array, add_to: Array | None = None, inner: bool = True
    ) -> tuple[Array, Array]:
        """Add to the gradient; return the cotangents of input and base.

        Parameters
        ----------
        step : Step
        P : array, shape (C_out, out_cells, m)
            Cotangent of the output.
        add_to : array, shape (C_in, cells, m), optional
            What the cotangent of the input is added to.
        inner : bool
            Whether the cotangent of the input is wanted, else None is returned in its place.
        """
        spec = step.spec
        found = step.norm.adjoint(P, step.A.get(), step.Y.get())
        self.gradient[f"{spec.norm}.weight"], self.gradient[f"{spec.norm}.bias"] = found.weight, found.bias
        taps = each(self.backend.stencil_gradient, step.X.get(), found.features, spec.geometry)
        self._gather(f"{spec.name}.weight", taps)
        return (each(step.kernel.apply_transpose, found.features, add_to) if inner else None), found.base

    def _gather(self, name: str, taps: Array) -> None:
        """Keep a part of the gradient until :meth:`sum_over_ranks`; add up one a block, which are many."""
        if self.sums is not None and isinstance(taps, Blocks):
            (self.gradient[name],) = self.sums.total(taps)
        else:
            self.partial[name] = taps

    def block(self, block: BlockSpec, Y: Array, kept: Kept) -> tuple[Array, BlockSteps]:
        """Return the output of a basic block, and what the way back needs.

        Parameters
        ----------
        block : BlockSpec
        Y : array, shape (C_in, cells, m)
        kept : Kept
            The same, as it is kept.
        """
        base, shortcut = Y, None
        if block.shortcut is not None:
            base, shortcut = self.forward(block.shortcut, Y, kept, rectify=False)
        inside, first = self.forward(block.first, Y, kept)
        out, second = self.forward(block.second, inside, first.Y, base)
        return out, BlockSteps(first, second, shortcut)

    def block_back(self, steps: BlockSteps, P: Array) -> Array:
        """Add to the gradient; return the cotangent of the block's input.

        Parameters
        ----------
        steps : BlockSteps
        P : array, shape (C_out, out_cells, m)
            Cotangent of the output.
        """
        inside, base = self.back(steps.second, P)
        if steps.shortcut is not None:
            base, _ = self.back(steps.shortcut, base)
        return self.back(steps.first, inside, add_to=base)[0]

    def sum_over_ranks(self, *others: Array) -> tuple[Array, ...]:
        """Complete the gradient by one message; return the sums of what else this part has to add."""
        names = list(self.partial)
        parts = *others, *self.partial.values()
        found = parts if self.sums is None else self.sums.total(*parts)
        self.gradient.update(zip(names, found[len(others) :], strict=True))
        self.partial.clear()
        return found[: len(others)]
