"""The classifier that repeats another network's logits on new features: ridge regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from refmg_backends import RefmgError

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
        step = linalg.solve(gram, centred @ missing, assume_a="pos")
    else:
        step = centred @ linalg.solve(gram, missing, assume_a="pos")
    W = prior + step
    return W, target_mean - W.T @ mean
