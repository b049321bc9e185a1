"""Losses of logits: values, gradients and Hessian products."""

from __future__ import annotations

from refmg.losses.labels import as_targets, check_training_labels
from refmg.losses.least_squares import LeastSquares
from refmg.losses.logistic import Logistic
from refmg.losses.loss import Loss, LossPoint
from refmg.losses.softmax import SoftmaxCrossEntropy, softmax
from refmg.losses.support_vector import Hinge, SquaredHinge
from refmg_backends import RefmgError, one_of

LOSSES: dict[str, Loss] = {
    loss.name: loss for loss in (SoftmaxCrossEntropy(), LeastSquares(), Logistic(), SquaredHinge(), Hinge())
}

__all__ = [
    "Hinge",
    "LOSSES",
    "LeastSquares",
    "Logistic",
    "Loss",
    "LossPoint",
    "SoftmaxCrossEntropy",
    "SquaredHinge",
    "as_targets",
    "check_training_labels",
    "named_loss",
    "softmax",
]


def named_loss(name: str) -> Loss:
    """Return the loss of this name.

    Parameters
    ----------
    name : {"softmax", "least-squares", "logistic", "svm", "hinge"}
        ``"svm"`` is the smooth multi-class support vector machine, ``"hinge"`` the other one.

    Returns
    -------
    Loss

    Raises
    ------
    RefmgError
        If the name is unknown.

    Examples
    --------
    >>> [name for name in LOSSES if named_loss(name).shift_invariant]
    ['softmax', 'svm', 'hinge']
    """
    if name not in LOSSES:
        raise RefmgError(one_of("loss", name, LOSSES))
    return LOSSES[name]
