r"""Batch normalisation with its exact adjoint, in training and in evaluation mode."""

from __future__ import annotations

from dataclasses import dataclass

from refmg.resnet.batch_sums import BatchSums
from refmg.resnet.blocks import each
from refmg_backends import Backend, RefmgError
from refmg_backends.backend import Array

EPSILON = 1e-5  # added to variances; PyTorch's number


@dataclass(frozen=True)
class BatchNormAdjoint:
    """What flows back through a batch norm.

    Attributes
    ----------
    features : array, shape (C, cells, m)
        Cotangent of the normalised features.
    base : array, shape (C, cells, m)
        Cotangent of what was added to the result.
    weight, bias : array, shape (C,)
        Gradients.
    """

    features: Array
    base: Array
    weight: Array
    bias: Array


@dataclass(frozen=True)
class BatchNorm:
    r"""A batch norm at some features: :math:`y = \gamma (x - \mu) / \sqrt{v + \varepsilon} + \beta`.

    Attributes
    ----------
    backend : Backend
    output : array, shape (C, cells, m)
        With base and rectifier, if any.
    weight, mean, variance : array, shape (C,)
        :math:`\gamma`, :math:`\mu` and the biased v that were used.
    training : bool
        Whether mean and variance are those of the features themselves.
    rectified : bool
        Whether the negative part was cut off.
    epsilon : float
        :math:`\varepsilon`.
    sums : BatchSums, optional
        In training mode, of the batch whose features these are, or a part of them.
    """

    backend: Backend
    output: Array
    weight: Array
    mean: Array
    variance: Array
    training: bool
    rectified: bool
    epsilon: float = EPSILON
    sums: BatchSums | None = None

    @property
    def inverse(self) -> Array:
        r""":math:`1 / \sqrt{v + \varepsilon}`."""
        return inverse_deviation(self.backend, self.variance, self.epsilon)

    def adjoint(self, P: Array, X: Array, Y: Array | None = None) -> BatchNormAdjoint:
        r"""Return the cotangents for `P`, the one of the output.

        Parameters
        ----------
        P : array, shape (C, cells, m)
        X : array, shape (C, cells, m)
            The features that were normalised; they are not kept here.
        Y : array, shape (C, cells, m), optional
            The output, by default the one that is kept here.

        Notes
        -----
        With q the cotangent of y, r the inverse deviation, N cells times examples and sums over both,

        .. math:: \bar\beta = \sum q, \quad \bar\gamma = r \sum q (x - \mu), \quad
                  \bar x = \gamma r \Bigl(q - \frac{\bar\beta}{N} - \frac{r \bar\gamma}{N} (x - \mu)\Bigr)

        in training mode; in evaluation mode mean and variance are constants, and
        :math:`\bar x = \gamma r q`. The slope of the rectifier at 0 is 0.
        """
        backend, xp, r = self.backend, self.backend.xp, self.inverse
        output = (self.output if Y is None else Y) if self.rectified else None
        Q, sums, products = each(backend.rectified_sums, P, X, self.mean, output)
        count = X.shape[1] * X.shape[2]
        if self.training and self.sums is not None:
            sums, products = self.sums.total(sums, products)
            count = self.sums.numbers(X)
        weight, a = r * products, self.weight * r
        if self.training:
            b, c = -a * r * weight / count, -a * sums / count
        else:
            b = c = xp.zeros_like(a)
        return BatchNormAdjoint(each(backend.combined, Q, X, self.mean, a, b, c), Q, weight, sums)


def inverse_deviation(backend: Backend, variance: Array, epsilon: float = EPSILON) -> Array:
    r"""Return :math:`1 / \sqrt{v + \varepsilon}`."""
    return 1 / backend.xp.sqrt(variance + epsilon)


def batch_norm(
    backend: Backend,
    X: Array,
    weight: Array,
    bias: Array,
    running: tuple[Array, Array] | None = None,
    base: Array | None = None,
    rectify: bool = False,
    epsilon: float = EPSILON,
    sums: BatchSums | None = None,
) -> BatchNorm:
    """Normalise each channel, add a base and cut off the negative part.

    Parameters
    ----------
    backend : Backend
    X : array, shape (C, cells, m)
        Features.
    weight, bias : array, shape (C,)
        Scale and shift of the normalised features.
    running : tuple of array, shape (C,), optional
        Mean and variance to use (evaluation mode); those of `X` by default (training mode).
    base : array, shape (C, cells, m), optional
        Added before the rectifier.
    rectify : bool
        Whether the negative part is cut off.
    epsilon : float
        Added to variances; PyTorch's number by default.
    sums : BatchSums, optional
        Of a batch that ranks share: in training mode, mean and variance are those of all its parts. By
        default `X` is the whole batch.

    Raises
    ------
    RefmgError
        If shapes do not fit, or there is one number a channel in training mode.

    Notes
    -----
    Ioffe and Szegedy, "Batch normalization" (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from refmg_backends import get_backend
    >>> one, X = np.ones(1), np.array([[[1.0, 3.0]]])
    >>> batch_norm(get_backend("numpy"), X, one, 0 * one).output.round(4)
    array([[[-1.,  1.]]])
    """
    batch = BatchSums(backend, X.shape[2]) if sums is None else sums
    if running is None and batch.numbers(X) < 2:
        raise RefmgError(
            f"found one number a channel (features of shape {tuple(X.shape)}); expected 2 or more to "
            "normalise by their deviation: take more examples at a time, or larger images"
        )
    mean, variance = batch.moments([X]) if running is None else running
    scale = weight * inverse_deviation(backend, variance, epsilon)
    Y = each(backend.normalized, X, mean, scale, bias, base, rectify)
    return BatchNorm(backend, Y, weight, mean, variance, running is None, rectify, epsilon, sums)


def updated_statistics(
    running: tuple[Array, Array], found: BatchNorm, numbers: int, momentum: float
) -> tuple[Array, Array]:
    """Return running mean and variance after a batch: PyTorch's rule, the variance unbiased.

    Parameters
    ----------
    running : tuple of array, shape (C,)
        Before it.
    found : BatchNorm
        In training mode.
    numbers : int
        Cells times examples of the batch.
    momentum : float
        Weight of the batch.
    """
    mean, variance = running
    unbiased = found.variance * (numbers / (numbers - 1))
    keep = 1 - momentum
    return keep * mean + momentum * found.mean, keep * variance + momentum * unbiased
