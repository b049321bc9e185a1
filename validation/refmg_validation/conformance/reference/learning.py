"""Regularisers as matrices; the objective and its derivatives with dense matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from refmg_validation.conformance.build import Floats
from refmg_validation.conformance.functions import FUNCTIONS
from refmg_validation.conformance.reference import losses, propagation
from refmg_validation.conformance.reference.arithmetic import product

NETWORK = FUNCTIONS["propagate"].arguments


def differences(n: int) -> Floats:
    """Return the matrix of differences between n neighbours.

    Examples
    --------
    >>> differences(3)
    array([[-1.,  1.,  0.],
           [ 0., -1.,  1.]])
    """
    eye: Floats = np.eye(n, dtype=np.float64)
    return eye[1:] - eye[:-1]


def weight_matrix(W: Floats, alpha_W: float) -> Floats:
    """Return the matrix A of ``alpha_W / 2 h^d |grad_h W|^2 = <W, A W> / 2`` on ``W.ravel()``."""
    total = np.zeros((W.size, W.size))
    for axis, n in enumerate(W.shape[1:-1], start=1):
        before, after = np.eye(int(np.prod(W.shape[:axis]))), np.eye(int(np.prod(W.shape[axis + 1 :])))
        D: Any = np.kron(np.kron(before, n * differences(n)), after)
        total += alpha_W * losses.cell_volume(W) * product(D.T, D)
    return total


def control_matrix(
    opening: Floats, stencils: Floats, biases: Floats, final_time: float, alpha_t: float, alpha_0: float
) -> Floats:
    """Return the matrix of the regularisers of the controls, on opening, stencils, biases in a row."""
    nodes, dt = len(stencils), final_time / len(stencils)
    D = differences(nodes)
    in_time = alpha_0 * dt * np.eye(nodes) + alpha_t / dt * product(D.T, D)
    blocks: list[Any] = [alpha_0 * np.eye(opening.size)]
    blocks += [np.kron(in_time, np.eye(part[0].size)) for part in (stencils, biases)]
    total = np.zeros((sum(len(b) for b in blocks),) * 2)
    start = 0
    for block in blocks:
        total[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return total


def flat(*parts: Floats) -> Floats:
    """Return all numbers as one vector."""
    return np.concatenate([np.ravel(part) for part in parts])


def split(vector: Floats, *like: Floats) -> tuple[Floats, ...]:
    """Return a vector cut into arrays of these shapes."""
    ends = np.cumsum([part.size for part in like])[:-1]
    return tuple(v.reshape(part.shape) for v, part in zip(np.split(vector, ends), like, strict=True))


def controls(inputs: dict[str, Any]) -> tuple[Floats, Floats, Floats]:
    """Return opening, stencils and biases."""
    return inputs["opening"], inputs["stencils"], inputs["biases"]


def objective(inputs: dict[str, Any]) -> float:
    """Return the mean loss."""
    Y = propagation.propagate(**{name: inputs[name] for name in NETWORK})
    Z = losses.logits(Y, inputs["W"], inputs["mu"])
    return losses.mean_loss(inputs["loss"], Z, inputs["labels"])[0]


class Linearized:
    """The mean loss of a network about its controls, with all Jacobians as dense matrices.

    Attributes
    ----------
    jacobian : ndarray, shape (q, p)
        Of the final features by the controls.
    gradient : ndarray, shape (p,)
        By the controls: ``J^T`` times that by the features.
    gauss_newton : ndarray, shape (p, p)
        ``J^T H J``, J being the Jacobian of the logits.
    """

    def __init__(self, inputs: dict[str, Any]) -> None:
        Y = propagation.propagate(**{name: inputs[name] for name in NETWORK})
        W, mu, loss, labels = (inputs[name] for name in ("W", "mu", "loss", "labels"))
        self.jacobian = J = propagation.jacobian(inputs)
        self.gradient = product(J.T, losses.classifier_loss(loss, Y, W, mu, labels)[2].ravel())
        to_logits = losses.cell_volume(W) * np.kron(W.reshape(-1, W.shape[-1]).T, np.eye(Y.shape[-1]))
        A = product(to_logits, J)
        curvature = losses.mean_loss(loss, losses.logits(Y, W, mu), labels)[2]
        self.gauss_newton = product(A.T, curvature, A)
