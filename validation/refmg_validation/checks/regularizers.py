"""Checks of the regularisers: values by hand, the same on every grid and depth, gradients by differences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from refmg import Controls, Grid, Regularization
from refmg_validation.checks.finding import Finding

EPS = float(np.finfo(float).eps)
SHAPES = ((8,), (16,), (8, 4), (16, 8), (4, 8, 2), (8, 16, 4))
SLOPES = (3.0, -1.5, 0.75)
DEPTHS = (4, 8, 16)
FINAL_TIME = 2.0


def regularizer_checks(seed: int) -> Iterator[Finding]:
    """Yield every finding of the group."""
    for shape in SHAPES:
        yield slopes(shape)
    for nodes in DEPTHS:
        yield from in_time(nodes)
    yield from scaling()
    rng = np.random.default_rng([seed, 51])
    yield weights_gradient(rng)
    yield controls_gradient(rng)


def _of_weights(W: NDArray[np.float64], alpha_W: float) -> float:
    A = Regularization(alpha_W=alpha_W)
    return 0.5 * float(np.sum(W * A.of_weights(np, W, Grid(W.shape[1:-1]))))


def _plane(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a function of constant slopes at the cell centres, as weights of one channel and class."""
    centres = np.meshgrid(*((np.arange(n) + 0.5) / n for n in shape), indexing="ij")
    return np.asarray(sum(a * x for a, x in zip(SLOPES, centres, strict=False)))[None, ..., None]


def slopes(shape: tuple[int, ...]) -> Finding:
    """Compare the value for a plane with ``alpha_W / 2 sum a_i^2 (n_i - 1) / n_i``, by hand."""
    expected = 0.25 * sum(a * a * (n - 1) / n for a, n in zip(SLOPES, shape, strict=False))
    error = abs(_of_weights(_plane(shape), 0.5) - expected) / expected
    return Finding(f"alpha_W of a plane on {shape} cells, by hand", error, 64 * EPS, "64 eps")


def _controls(nodes: int, value: NDArray[np.float64]) -> Controls:
    stencils = value[:, None, None, None] * np.ones((nodes, 1, 1, 3))
    return Controls(np.full((1, 1, 3), 2.0), stencils, value[:, None] * np.ones((nodes, 1)))


def in_time(nodes: int) -> Iterator[Finding]:
    """Compare values for constant and for linear controls with sums by hand."""
    dt, numbers = FINAL_TIME / nodes, 4  # three taps and a bias
    linear = _controls(nodes, 1.5 * dt * np.arange(nodes, dtype=np.float64))
    expected = 0.5 * 0.25 * 1.5**2 * dt * (nodes - 1) * numbers
    error = abs(Regularization(alpha_t=0.25).value_of_controls(np, linear, dt) - expected) / expected
    yield Finding(f"alpha_t of {nodes} controls linear in time, by hand", error, 64 * EPS, "64 eps")
    same = _controls(nodes, np.full(nodes, 3.0))
    expected = 0.5 * 0.5 * (3 * 2.0**2 + FINAL_TIME * 3.0**2 * numbers)
    error = abs(Regularization(alpha_0=0.5).value_of_controls(np, same, dt) - expected) / expected
    yield Finding(f"alpha_0 of {nodes} constant controls, at every depth the same", error, 64 * EPS, "64 eps")


def scaling() -> Iterator[Finding]:
    """Compare a wave on finer and finer grids with its integral: the error falls with h^2."""
    errors = []
    for n in (16, 32, 64):
        x = (np.arange(n) + 0.5) / n
        # The integral of (pi sin(pi x))^2 over [0, 1].
        errors.append(abs(2 * _of_weights(np.cos(np.pi * x)[None, :, None], 1.0) - np.pi**2 / 2))
    order = float(np.log2(errors[1] / errors[2]))
    yield Finding("alpha_W on finer grids: second order to the integral", abs(order - 2), 0.1, "of the order")
    errors = []
    for nodes in (64, 128, 256):
        t = np.arange(nodes) / nodes
        value = 2 * Regularization(alpha_t=1.0).value_of_controls(
            np,
            Controls(np.zeros((1, 1, 1)), np.sin(np.pi * t)[:, None, None, None], np.zeros((nodes, 1))),
            1 / nodes,
        )
        errors.append(abs(value - np.pi**2 / 2))
    order = float(np.log2(errors[1] / errors[2]))
    # The last interval has no difference: one order less than in space.
    yield Finding(
        "alpha_t at greater depths: first order to the integral", abs(order - 1), 0.1, "of the order"
    )


def _quadratic(value_plus: float, value_minus: float, slope: float) -> float:
    """Return how far ``f(x + d) - f(x - d) = 2 <grad f(x), d>``, exact for quadratics, is off."""
    return abs(value_plus - value_minus - 2 * slope) / max(value_plus, value_minus)


def weights_gradient(rng: np.random.Generator) -> Finding:
    """Compare the gradient with a central difference, which is exact here."""
    W, d = rng.normal(size=(2, 2, 4, 3, 2))
    gradient = Regularization(alpha_W=0.5).of_weights(np, W, Grid((4, 3)))
    error = _quadratic(_of_weights(W + d, 0.5), _of_weights(W - d, 0.5), float(np.sum(gradient * d)))
    return Finding("alpha_W: gradient by central differences", error, 256 * EPS, "256 eps")


def controls_gradient(rng: np.random.Generator) -> Finding:
    """Compare the gradient with a central difference, which is exact here."""
    A, dt = Regularization(alpha_t=0.25, alpha_0=0.5), FINAL_TIME / 4
    x, d = (Controls(*(rng.normal(size=n) for n in ((2, 1, 3), (4, 2, 2, 3), (4, 2)))) for _ in range(2))
    plus, minus = (
        A.value_of_controls(np, x.unflat(np, x.flat(np) + sign * d.flat(np)), dt) for sign in (1, -1)
    )
    slope = float(np.sum(A.of_controls(np, x, dt).flat(np) * d.flat(np)))
    error = _quadratic(plus, minus, slope)
    return Finding("alpha_t, alpha_0: gradient by central differences", error, 256 * EPS, "256 eps")
