"""Cases of the regularisers."""

from __future__ import annotations

from collections.abc import Iterator

from refmg_validation.conformance.build import Draw, Shape, make, sums
from refmg_validation.conformance.case import Case
from refmg_validation.conformance.reference.arithmetic import dot, product
from refmg_validation.conformance.reference.learning import control_matrix, flat, split, weight_matrix


def cases() -> Iterator[Case]:
    """Yield the cases of the group."""
    yield _weights("weights-1d", "full", (1, 8, 2))
    yield _weights("weights-2d", "core", (2, 4, 2, 3))
    yield _weights("weights-3d", "full", (1, 2, 4, 2, 2))
    yield _controls("controls", "core", 4, 0.5, 0.25)
    yield _controls("controls-smooth", "full", 4, 0.5, 0.0)
    yield _controls("controls-one-node", "full", 1, 0.5, 0.25)


def _weights(name: str, level: str, shape: Shape) -> Case:
    # Powers of two as numbers of cells and 4 as a unit: h^d / h_i^2 times it is whole.
    W, alpha_W = Draw(name).whole(shape, unit=4), 0.5
    gradient = product(weight_matrix(W, alpha_W), W.ravel()).reshape(W.shape)
    value = 0.5 * dot(W, gradient)
    text = f"""`alpha_W / 2 h^d |grad_h W|^2` on {shape[1:-1]} cells, with differences between neighbours
        divided by the spacing of their own axis, none across the ends."""
    inputs = {"W": W, "alpha_W": alpha_W}
    return make(f"regularizer-{name}", level, "weight_regularizer", text, inputs, (value, gradient), sums(12))


def _controls(name: str, level: str, nodes: int, alpha_t: float, alpha_0: float) -> Case:
    draw = Draw(name)
    parts = draw.whole((2, 1, 3)), draw.whole((nodes, 2, 2, 3)), draw.whole((nodes, 2))
    theta = flat(*parts)
    gradient = product(control_matrix(*parts, 2.0, alpha_t, alpha_0), theta)
    inputs = dict(zip(("opening", "stencils", "biases"), parts, strict=True))
    text = f"""Smoothness in time and size of the controls at {nodes} nodes of `[0, 2)`: jumps are divided
        by `dt = T / M`, sums over time multiplied by it; the opening has no time."""
    return make(
        f"regularizer-{name}", level, "control_regularizer", text,
        inputs | {"final_time": 2.0, "alpha_t": alpha_t, "alpha_0": alpha_0},
        (0.5 * dot(theta, gradient), *split(gradient, *parts)), sums(36),
    )  # fmt: skip
