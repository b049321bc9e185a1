"""The classifier that repeats another network's logits on new features: ridge regression."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import starmap

import numpy as np
import scipy
from numpy.typing import NDArray

from refmg.distributed.division import Division
from refmg.distributed.once import from_first
from refmg.distributed.share import Share
from refmg_backends import RefmgError, get_backend

Matrix = NDArray[np.float64]


def fit_classifier(features: Matrix, logits: Matrix, prior: Matrix, ridge: float) -> tuple[Matrix, Matrix]:
    r"""Return the weights and biases nearest to given logits.

    Parameters
    ----------
    features : ndarray, shape (n, m)
        :math:`h^d y`, one column an example.
    logits : ndarray, shape (classes, m)
        What :math:`W^T h^d y + \mu` shall be.
    prior : ndarray, shape (n, classes)
        Weights to stay near to.
    ridge : float
        Weight of the squared distance to them, by the mean square norm of a centred example; positive.

    Returns
    -------
    W : ndarray, shape (n, classes)
    mu : ndarray, shape (classes,)

    Raises
    ------
    RefmgError
        If features, logits or the prior are not finite.

    Notes
    -----
    Biases are free: features and logits are centred first. The normal equations are solved for weights
    or for examples, whichever are fewer; both have the same solution,
    :math:`(\Phi\Phi^T + \lambda)^{-1} \Phi = \Phi\,(\Phi^T\Phi + \lambda)^{-1}`.

    Examples
    --------
    >>> W, mu = fit_classifier(np.array([[0.0, 1.0]]), np.array([[1.0, 3.0]]), np.zeros((1, 1)), 1e-12)
    >>> W.round(6), mu.round(6)
    (array([[2.]]), array([1.]))
    """
    mean, target_mean = features.mean(axis=1), logits.mean(axis=1)
    centred = features - mean[:, None]
    missing = (logits - target_mean[:, None]).T - centred.T @ prior
    if not (np.isfinite(centred).all() and np.isfinite(missing).all()):
        raise RefmgError("found features or weights that are NaN or infinite; expected finite ones")
    weight = ridge * np.sum(centred**2) / centred.shape[1]
    if not weight > 0:  # one example, or all alike: nothing but the biases can be fitted
        return prior, target_mean - prior.T @ mean
    fewer_weights = centred.shape[0] <= centred.shape[1]
    gram = centred @ centred.T if fewer_weights else centred.T @ centred
    gram[np.diag_indices_from(gram)] += weight
    if fewer_weights:
        step = scipy.linalg.solve(gram, centred @ missing, assume_a="pos")
    else:
        step = centred @ scipy.linalg.solve(gram, missing, assume_a="pos")
    W = prior + step
    return W, target_mean - W.T @ mean


def fit_streamed_classifier(
    batches: Callable[[], Iterable[tuple[Matrix, Matrix]]],
    prior: Matrix,
    ridge: float,
    share: Share,
    division: Division,
) -> tuple[Matrix, Matrix]:
    """Return the same where features and logits come in batches, and every rank has some examples.

    Parameters
    ----------
    batches : callable
        Returns features and logits of this rank's examples in order, as for :func:`fit_classifier`. Called
        twice at most: for the means, and for products of what is centred by them.
    prior, ridge
        As for :func:`fit_classifier`.
    share : Share
        Sums over all ranks.
    division : Division
        Of the examples.

    Returns
    -------
    W : ndarray, shape (n, classes)
    mu : ndarray, shape (classes,)

    Raises
    ------
    RefmgError
        If features, logits or the prior are not finite, on whatever rank.

    Notes
    -----
    With fewer examples than weights their features are put together, which is less than the normal equations;
    else these are summed.
    """
    comm, m = share.communicator, division.examples
    if m < prior.shape[0]:
        features, logits = (share.gathered(part, division) for part in _together(batches(), prior))
        return from_first(comm, lambda: fit_classifier(features, logits, prior, ridge))  # type: ignore[no-any-return]
    place = get_backend("numpy")
    sums = ((Y.sum(axis=1), Z.sum(axis=1)) for Y, Z in batches())
    mean, target_mean = (total / m for total in share.total(place, sums, division))

    def products(Y: Matrix, Z: Matrix) -> tuple[Matrix, ...]:
        centred = Y - mean[:, None]
        missing = (Z - target_mean[:, None]).T - centred.T @ prior
        return centred @ centred.T, centred @ missing

    gram, right = share.total(place, starmap(products, batches()), division)
    return from_first(comm, lambda: _solved(gram, right, prior, ridge / m, (mean, target_mean)))  # type: ignore[no-any-return]


def _together(batches: Iterable[tuple[Matrix, Matrix]], prior: Matrix) -> tuple[Matrix, Matrix]:
    """Return features and logits of all batches, of which a rank without an example has none."""
    none = tuple(np.zeros((rows, 0)) for rows in prior.shape)
    features, logits = zip(none, *batches, strict=True)
    return np.concatenate(features, axis=1), np.concatenate(logits, axis=1)


def _solved(
    gram: Matrix, right: Matrix, prior: Matrix, ridge: float, means: tuple[Matrix, Matrix]
) -> tuple[Matrix, Matrix]:
    mean, target_mean = means
    if not (np.isfinite(gram).all() and np.isfinite(right).all()):
        raise RefmgError("found features or weights that are NaN or infinite; expected finite ones")
    weight, W = ridge * np.trace(gram), prior
    if weight > 0:
        regular = gram + weight * np.eye(len(gram))
        W = prior + scipy.linalg.solve(regular, right, assume_a="pos")
    return W, target_mean - W.T @ mean
