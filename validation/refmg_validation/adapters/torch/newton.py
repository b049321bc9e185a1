"""Newton steps on tuples of tensors: conjugate gradients, then Armijo's rule."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Parts = tuple[Tensor, ...]
Product = Callable[[Parts], Parts]
Objective = Callable[..., Tensor]

DECREASE, HALVINGS = 1e-4, 10


def gauss_newton(model: Callable[..., Tensor], loss: Callable[[Tensor], Tensor], x: Parts) -> Product:
    """Return the product with ``J^T H J`` for the logits ``model(*x)``."""
    Z, back = torch.func.vjp(model, *x)

    def product(v: Parts) -> Parts:
        along = torch.func.jvp(model, x, v)[1]
        curvature = torch.func.jvp(torch.func.grad(loss), (Z,), (along,))[1]
        return tuple(back(curvature))

    return product


def hessian(objective: Objective, x: Parts) -> Product:
    """Return the product with the Hessian."""
    gradient = torch.func.grad(objective, argnums=tuple(range(len(x))))
    return lambda v: tuple(torch.func.jvp(gradient, x, v)[1])


def newton_step(
    objective: Objective,
    x: Parts,
    product: Product,
    iterations: int,
    tolerance: float,
    precondition: Product = lambda v: v,
) -> tuple[Parts, float]:
    """Return the point after a step, and the length of the step."""
    everything = tuple(range(len(x)))
    gradient, value = torch.func.grad_and_value(objective, argnums=everything)(*x)
    direction = _conjugate_gradient(product, tuple(-g for g in gradient), precondition, iterations, tolerance)
    slope, step = float(_dot(gradient, direction)), 1.0
    for _ in range(HALVINGS if slope < 0 else 0):
        reached = _plus(x, step, direction)
        if float(objective(*reached)) <= float(value) + DECREASE * step * slope:
            return reached, step
        step /= 2
    return x, 0.0


def _conjugate_gradient(A: Product, b: Parts, M: Product, iterations: int, tolerance: float) -> Parts:
    x, r, z = tuple(torch.zeros_like(part) for part in b), b, M(b)
    d, rho = z, _dot(b, z)
    first = rho
    for _ in range(iterations):
        Ad = A(d)
        curvature = _dot(d, Ad)
        if not first or curvature <= 0:
            break
        x, r = _plus(x, rho / curvature, d), _plus(r, -rho / curvature, Ad)
        z = M(r)
        rho, before = _dot(r, z), rho
        if rho <= tolerance**2 * first:
            break
        d = _plus(z, rho / before, d)
    return x


def _dot(a: Parts, b: Parts) -> Tensor:
    return torch.stack([(p * q).sum() for p, q in zip(a, b, strict=True)]).sum()


def _plus(x: Parts, step: float | Tensor, d: Parts) -> Parts:
    return tuple(p + step * q for p, q in zip(x, d, strict=True))
