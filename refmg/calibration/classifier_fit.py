"""The classifier that repeats another network's logits on new features: ridge regression."""

from __future__ import annotations

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


def fit_shared_classifier(
    features: Matrix, logits: Matrix, prior: Matrix, ridge: float, share: Share, division: Division
) -> tuple[Matrix, Matrix]:
    """Return the same where every rank has the features and logits of some examples.

    Parameters
    ----------
    features, logits, prior, ridge
        As for :func:`fit_classifier`, of this rank's examples.
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
    comm = share.communicator
    if division.examples < features.shape[0]:
        Y, Z = (share.gathered(part, division) for part in (features, logits))
        return from_first(comm, lambda: fit_classifier(Y, Z, prior, ridge))  # type: ignore[no-any-return]
    place, m = get_backend("numpy"), division.examples
    parts = _parts(features.shape[1], share, division)
    sums = ((features[:, part].sum(axis=1), logits[:, part].sum(axis=1)) for part in parts)
    mean, target_mean = (total / m for total in share.total(place, sums, division))

    def products(part: slice) -> tuple[Matrix, ...]:
        centred = features[:, part] - mean[:, None]
        missing = (logits[:, part] - target_mean[:, None]).T - centred.T @ prior
        return centred @ centred.T, centred @ missing

    gram, right = share.total(place, map(products, parts), division)
    return from_first(comm, lambda: _solved(gram, right, prior, ridge / m, (mean, target_mean)))  # type: ignore[no-any-return]


def _parts(own: int, share: Share, division: Division) -> list[slice]:
    """Return this rank's examples, where it counts them from 0, by blocks where sums are made of those."""
    size = share.batch(division, max(1, own))
    return [slice(start, min(start + size, own)) for start in range(0, own, size)]


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
