"""Layers, integrators and losses as a user of PyTorch would write them; derivatives are autograd's."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from refmg_validation.adapters.torch.grid import convolve, examples_first

Rate = Callable[[Tensor], Tensor]


def smooth_relu(x: Tensor) -> Tensor:
    """Return relu with its corner rounded by a parabola on ``|x| < 0.1``."""
    return torch.where(x.abs() < 0.1, (x + 0.1) ** 2 / 0.4, torch.relu(x))


ACTIVATIONS: dict[str, Rate] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "smooth-relu": smooth_relu,
    "identity": lambda x: x,
}


class Kind(NamedTuple):
    """What a layer is, apart from its parameters."""

    layer: str
    activation: str
    boundary: str


def convolve_transpose(
    s: Tensor, Z: Tensor, shape: tuple[int, ...], boundary: str, stride: Any = 1
) -> Tensor:
    """Return ``K^T Z`` by autograd."""
    like = torch.zeros((Z.shape[0], s.shape[1], *shape), dtype=Z.dtype)
    back: Callable[[Tensor], tuple[Tensor]] = torch.func.vjp(
        lambda X: convolve(s, X, boundary, stride), like
    )[1]
    return back(Z)[0]


def layer(kind: Kind, s: Tensor, b: Tensor) -> Rate:
    """Return the function F on features ``(m, C, n_1, .., n_d)``."""
    if kind.layer == "residual":
        return lambda X: _activated(kind, s, b, X)
    if kind.layer == "symmetric":
        return lambda X: -_folded(kind, s, b, X)
    upper, lower = pair(kind, s, b)

    def both(X: Tensor) -> Tensor:
        y, z = X.chunk(2, dim=1)
        return torch.cat([upper(z), lower(y)], dim=1)

    return both


def pair(kind: Kind, s: Tensor, b: Tensor) -> tuple[Rate, Rate]:
    """Return the rates of y and of z of a Hamiltonian layer."""
    (s_y, s_z), (b_y, b_z) = s.chunk(2), b.chunk(2)
    return lambda z: _folded(kind, s_y, b_y, z), lambda y: -_folded(kind, s_z, b_z, y)


def _activated(kind: Kind, s: Tensor, b: Tensor, X: Tensor) -> Tensor:
    ones = (1,) * (X.ndim - 2)
    return ACTIVATIONS[kind.activation](convolve(s, X, kind.boundary) + b.reshape(-1, *ones))


def _folded(kind: Kind, s: Tensor, b: Tensor, X: Tensor) -> Tensor:
    return convolve_transpose(s, _activated(kind, s, b, X), tuple(X.shape[2:]), kind.boundary)


class Run(NamedTuple):
    """How features are taken through time."""

    kind: Kind
    integrator: str
    final_time: float
    steps: int


def propagate(run: Run, images: Tensor, opening: Tensor, stencils: Tensor, biases: Tensor) -> Tensor:
    """Return the final features ``(m, C, n_1, .., n_d)`` of images ``(C_in, n_1, .., n_d, m)``."""
    X = convolve(opening, examples_first(images), run.kind.boundary)

    def parameters(time: Fraction) -> tuple[Tensor, Tensor]:
        """Interpolate linearly between the nodes; after the last one the controls are constant."""
        last = len(stencils) - 1
        place = min(time * len(stencils), Fraction(last))
        j, w = int(place), float(place - int(place))
        after = min(j + 1, last)
        return (1 - w) * stencils[j] + w * stencils[after], (1 - w) * biases[j] + w * biases[after]

    return INTEGRATORS[run.integrator](run, X, parameters)


Parameters = Callable[[Fraction], tuple[Tensor, Tensor]]


def _euler(run: Run, X: Tensor, at: Parameters) -> Tensor:
    N = run.steps
    for k in range(N):
        X = X + run.final_time / N * layer(run.kind, *at(Fraction(k, N)))(X)
    return X


def _rk4(run: Run, X: Tensor, at: Parameters) -> Tensor:
    N, dt = run.steps, run.final_time / run.steps
    for k in range(N):
        first, middle, last = (
            layer(run.kind, *at(t)) for t in (Fraction(k, N), Fraction(2 * k + 1, 2 * N), Fraction(k + 1, N))
        )
        k1 = first(X)
        k2 = middle(X + dt / 2 * k1)
        k3 = middle(X + dt / 2 * k2)
        k4 = last(X + dt * k3)
        X = X + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return X


def _leapfrog(run: Run, X: Tensor, at: Parameters) -> Tensor:
    """``X_{k+1} = 2 X_k - X_{k-1} + dt^2 F(X_k)``, from rest."""
    N, dt = run.steps, run.final_time / run.steps
    before, now = X, X + dt**2 / 2 * layer(run.kind, *at(Fraction(0)))(X)
    for k in range(1, N):
        before, now = now, 2 * now - before + dt**2 * layer(run.kind, *at(Fraction(k, N)))(now)
    return now


def _verlet(run: Run, X: Tensor, at: Parameters) -> Tensor:
    """Half a step of z, a step of y, half a step of z; z's two halves between steps are one."""
    N, dt = run.steps, run.final_time / run.steps
    y, z = X.chunk(2, dim=1)
    for k in range(N):
        z = z + (dt / 2 if k == 0 else dt) * pair(run.kind, *at(Fraction(k, N)))[1](y)
        y = y + dt * pair(run.kind, *at(Fraction(2 * k + 1, 2 * N)))[0](z)
    z = z + dt / 2 * pair(run.kind, *at(Fraction(1)))[1](y)
    return torch.cat([y, z], dim=1)


INTEGRATORS = {"euler": _euler, "rk4": _rk4, "leapfrog": _leapfrog, "verlet": _verlet}


def logits(X: Tensor, W: Tensor, mu: Tensor) -> Tensor:
    """Return ``h^d W^T y + mu``, shape ``(m, classes)``, for features ``(m, C, n_1, .., n_d)``."""
    flat = W.reshape(-1, W.shape[-1])
    return F.linear(X.flatten(1), flat.T / prod(X.shape[2:]), mu)


def mean_loss(name: str, Z: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over examples of the loss of logits ``(m, classes)``."""
    target = F.one_hot(labels, Z.shape[1]).to(Z.dtype)
    if name == "softmax":
        return F.cross_entropy(Z, labels)
    if name == "least-squares":
        return F.mse_loss(Z, target, reduction="sum") / (2 * len(Z))
    if name == "logistic":
        return F.binary_cross_entropy_with_logits(Z, target, reduction="sum") / len(Z)
    # F.multi_margin_loss has no second derivative.
    margins = torch.relu((1 - target) * (1 + Z - (target * Z).sum(dim=1, keepdim=True)))
    return {"hinge": margins, "svm": margins**2 / 2}[name].sum() / len(Z)
