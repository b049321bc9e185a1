"""All blocks of a ResNet: forward in evaluation mode, forward and back in training mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmg.evaluation import correct
from refmg.losses import SoftmaxCrossEntropy
from refmg.resnet.architecture import BlockSpec, ConvolutionSpec, ResNetArchitecture
from refmg.resnet.batch_norm import batch_norm
from refmg.resnet.batch_sums import BatchSums
from refmg.resnet.blocks import each, joined
from refmg.resnet.pooling import (
    average_pool,
    average_pool_adjoint,
    max_pool,
    max_pool_adjoint,
    max_pool_choice,
)
from refmg.resnet.steps import BlockSteps, Kept, TrainingRun
from refmg_backends.backend import Array

if TYPE_CHECKING:
    from refmg.resnet.network import ResNet

LOSS = SoftmaxCrossEntropy()


class EvaluationRun:
    """Runs the parts of a network in evaluation mode.

    Parameters
    ----------
    net : ResNet
    """

    def __init__(self, net: ResNet) -> None:
        self.net, self.backend = net, net.backend

    def response(self, spec: ConvolutionSpec, X: Array) -> Array:
        """Return what a convolution gives, before its norm."""
        stencil = self.net.parameters[f"{spec.name}.weight"]
        return each(self.backend.convolution(stencil, spec.geometry).apply, X)

    def norm(self, spec: ConvolutionSpec, A: Array, base: Array | None = None, rectify: bool = True) -> Array:
        """Return the normalised response."""
        p, s = self.net.parameters, self.net.statistics
        running = s[f"{spec.norm}.running_mean"], s[f"{spec.norm}.running_var"]
        weights = p[f"{spec.norm}.weight"], p[f"{spec.norm}.bias"]
        return batch_norm(self.backend, A, *weights, running, base, rectify).output

    def unit(self, spec: ConvolutionSpec, X: Array, base: Array | None = None, rectify: bool = True) -> Array:
        """Return convolution, norm and rectifier together."""
        return self.norm(spec, self.response(spec, X), base, rectify)

    def pooled(self, Y: Array) -> Array:
        """Return the features after the maximum that follows the opening, if there is one."""
        pool = self.net.architecture.pool
        return Y if pool is None else each(max_pool, self.backend, Y, pool)

    def block(self, block: BlockSpec, Y: Array) -> Array:
        """Return what a basic block gives."""
        base = Y if block.shortcut is None else self.unit(block.shortcut, Y, rectify=False)
        return self.unit(block.second, self.unit(block.first, Y), base)

    def classify(self, Y: Array) -> Array:
        """Return the logits of the final features."""
        return each(classify, self.net, each(average_pool, self.backend.xp, Y))

    def logits(self, Y: Array) -> Array:
        """Return the logits of flat images ``(in_channels, cells, m)``."""
        Y = self.pooled(self.unit(self.net.architecture.opening, Y))
        for block in self.net.architecture.every_block():
            Y = self.block(block, Y)
        return self.classify(Y)


def classify(net: ResNet, means: Array) -> Array:
    """Return the logits of averaged features ``(C, m)``."""
    W, bias = net.parameters["fc.weight"], net.parameters["fc.bias"]
    return W @ means + bias[:, None]


class Training:
    """One pass through a network in training mode, and back.

    Parameters
    ----------
    net : ResNet
    momentum : float
        Of the running statistics.
    half : bool
        Whether what is kept is rounded to float16.
    sums : BatchSums
        Of the batch, of which ranks may have parts.
    """

    def __init__(self, net: ResNet, momentum: float, half: bool, sums: BatchSums) -> None:
        self.net, self.xp, self.examples = net, net.backend.xp, sums.examples
        shared = None if sums.share is None else sums
        self.run = TrainingRun(net.backend, net.parameters, net.statistics, momentum, half, sums=shared)
        self.done: list[BlockSteps] = []

    @property
    def architecture(self) -> ResNetArchitecture:
        """That of the network."""
        return self.net.architecture

    def __call__(self, Y: Array, targets: Array) -> tuple[Array, Array, Array]:
        """Return mean loss and hits of the batch, and logits of flat images; the gradient is in `run`."""
        Y = self._forward(Y)
        means, cells = each(average_pool, self.xp, Y), Y.shape[1]
        del Y
        loss, hits, logits, weight, bias, P = each(self._classified, means, targets)
        self.run.partial["fc.weight"], self.run.partial["fc.bias"] = weight, bias
        self._back(each(average_pool_adjoint, self.xp, P, cells))
        loss, hits = self.run.sum_over_ranks(loss, hits)
        return loss, hits, joined(self.xp, logits)

    def _classified(self, means: Array, targets: Array) -> tuple[Array, ...]:
        """Return loss, hits and logits, the classifier's gradient, and the cotangent of its input."""
        logits = classify(self.net, means)
        point = LOSS.linearize(self.xp, logits, targets)
        G = point.gradient / self.examples
        weight, bias = G @ self.xp.matrix_transpose(means), self.xp.sum(G, axis=1)
        P = self.xp.matrix_transpose(self.net.parameters["fc.weight"]) @ G
        return point.value / self.examples, correct(self.xp, logits, targets), logits, weight, bias, P

    def _forward(self, Y: Array) -> Array:
        # Images come from outside, and are kept as they are.
        Y, self.opened = self.run.forward(self.architecture.opening, Y, Kept(self.net.backend, Y, False))
        kept, pool = self.opened.Y, self.architecture.pool
        if pool is not None:
            Y, self.choice = each(max_pool_choice, self.net.backend, Y, pool)
            kept = self.run.keep(Y)
        for block in self.architecture.every_block():
            Y, steps = self.run.block(block, Y, kept)
            kept = steps.second.Y
            self.done.append(steps)
        return Y

    def _back(self, P: Array) -> None:
        while self.done:
            P = self.run.block_back(self.done.pop(), P)  # what it kept is free after it
        pool = self.architecture.pool
        if pool is not None:
            P = each(max_pool_adjoint, self.net.backend, self.choice, P, pool)
        self.run.back(self.opened, P, inner=False)
