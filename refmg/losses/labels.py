"""Labels, as integers or one-hot, checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refmg_backends import RefmgError


def as_targets(labels: ArrayLike, classes: int) -> NDArray[np.float64]:
    """Return one-hot labels.

    Parameters
    ----------
    labels : array_like, shape (m,) of whole numbers, or (classes, m) one-hot
        Classes of the examples.
    classes : int
        Number of classes, 2 or more.

    Returns
    -------
    ndarray of float64, shape (classes, m)

    Raises
    ------
    RefmgError
        If there is a single class, or the labels are not whole numbers from 0 to ``classes - 1`` nor
        one-hot columns.

    Examples
    --------
    >>> as_targets([1, 0], 2)
    array([[0., 1.],
           [1., 0.]])
    """
    if classes < 2:
        raise RefmgError(f"found a single class (classes = {classes}); expected 2 or more to tell apart")
    found = np.asarray(labels)
    if found.dtype.kind not in "biuf" or not np.isfinite(found).all():
        raise RefmgError("found labels that are not numbers (NaN?); expected a class for each example")
    if found.ndim == 2:
        return _one_hot(found, classes)
    if found.ndim != 1:
        raise RefmgError(f"found labels of shape {found.shape}; expected (examples,) or (classes, examples)")
    # A number too large for an integer warns in the cast; the comparison finds it.
    with np.errstate(invalid="ignore"):
        whole = found.astype(np.intp)
    if (whole != found).any():
        raise RefmgError(f"found the label {found[whole != found][0]}; expected whole numbers")
    if whole.size and not (whole.min() >= 0 and whole.max() < classes):
        raise RefmgError(
            f"found labels from {whole.min()} to {whole.max()} for {classes} classes; expected 0 to "
            f"{classes - 1}: give the architecture as many classes as the data has"
        )
    return np.eye(classes)[:, whole]


def _one_hot(found: NDArray[np.generic], classes: int) -> NDArray[np.float64]:
    if found.shape[0] != classes:
        raise RefmgError(f"found one-hot labels of shape {found.shape}; expected ({classes}, examples)")
    targets = found.astype(float)
    if not np.isin(targets, (0.0, 1.0)).all() or (targets.sum(axis=0) != 1).any():
        raise RefmgError(
            "found one-hot labels whose columns are not a single 1 among zeros; expected one-hot"
        )
    return targets


def check_training_labels(targets: NDArray[np.float64]) -> None:
    """Refuse training labels that leave a class empty.

    Parameters
    ----------
    targets : ndarray, shape (classes, m)
        One-hot labels of all training examples.

    Raises
    ------
    RefmgError
        If there is no example at all, or none of some class.

    Examples
    --------
    >>> check_training_labels(as_targets([0, 1, 1], 2))
    """
    if not targets.shape[1]:
        raise RefmgError("found no example; expected training images")
    empty = np.flatnonzero(targets.sum(axis=1) == 0)
    if empty.size:
        names = ", ".join(str(c) for c in empty)
        raise RefmgError(
            f"found no example of class {names} among {targets.shape[1]}; expected some of each of the "
            f"{targets.shape[0]} classes: renumber the labels, or give the architecture fewer classes"
        )
