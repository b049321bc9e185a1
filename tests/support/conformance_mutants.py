"""Wrong implementations: for every function of the suite, the mistakes that people make."""

import numpy as np


def cells(array):
    return np.prod(array.shape[1:-1])


def flipped(stencil):
    return stencil[(..., *(slice(None, None, -1),) * (stencil.ndim - 2))]


def with_input(name, change):
    """Return a mutant that works on a changed input."""
    return lambda f, a: f(**(a | {name: change(a[name])}))


def with_output(change):
    """Return a mutant that changes each output."""

    def mutant(f, a):
        found = f(**a)
        if isinstance(found, dict):
            return {name: change(np.asarray(value)) for name, value in found.items()}
        parts = found if isinstance(found, tuple) else (found,)
        changed = tuple(change(np.asarray(part)) for part in parts)
        return changed if isinstance(found, tuple) else changed[0]

    return mutant


def other_direction(name):
    """Return a mutant that moves stencils the other way."""
    return lambda f, a: getattr(f.__self__, name)(**a)


def no_volume(f, a):
    return f(**(a | {"W": a["W"] * cells(a["W"])}))


def forgotten(name):
    return with_input(name, np.zeros_like)


def other_boundary(boundary):
    return {"periodic": "zero", "zero": "reflect", "reflect": "periodic"}[boundary]


CONVOLUTION = (
    with_input("stencil", flipped),
    with_input("stencil", lambda s: s[:, ::-1] if s.shape[1] > 1 else 2 * s),
    with_input("boundary", other_boundary),
)
MEAN = with_output(lambda x: 2 * x)
NETWORK = (
    with_input("stencils", lambda s: 0.5 * (s + np.roll(s, 1, axis=0)) + 0.1 * np.ones_like(s)),
    with_input("final_time", lambda T: T / 2),
    with_input("stencils", lambda s: s[..., ::-1]),
)

BLOCK = (
    with_input("stencil_2", flipped),
    forgotten("shift_1"),
    forgotten("stencil_3"),
    with_input("scale_3", np.ones_like),
    with_input("boundary", other_boundary),
    with_input("eps", lambda eps: 0.1),
    with_input("features", lambda y: y[::-1]),
)

MUTANTS = {
    "convolve": CONVOLUTION,
    "convolve_transpose": CONVOLUTION,
    "stencil_gradient": (
        with_output(flipped),
        with_output(lambda x: x / 2),
        with_input("boundary", other_boundary),
    ),
    "restrict_features": (with_output(lambda x: 2 * x), with_output(lambda x: np.roll(x, 1, axis=1))),
    "prolong_features": (with_output(lambda x: x / 2), with_output(lambda x: np.roll(x, 1, axis=1))),
    "coarse_operator": (with_input("stencil", flipped), with_output(lambda A: A / 2)),
    "restrict_stencil": (lambda f, a: a["stencil"], with_output(flipped), MEAN),
    "prolong_stencil": (lambda f, a: a["stencil"], other_direction("restrict_stencil"), with_output(flipped)),
    "power_law_restrict": (with_input("exponent", lambda p: p + 0.5), other_direction("power_law_prolong")),
    "power_law_prolong": (with_input("exponent", lambda p: p + 0.5), other_direction("power_law_restrict")),
    "spectrum_restrict": (with_input("images", lambda x: x + 1), other_direction("spectrum_prolong")),
    "spectrum_prolong": (with_input("images", lambda x: x + 1), other_direction("spectrum_restrict")),
    "calibrated_stencil": (with_input("ridge", lambda r: r + 0.125), lambda f, a: a["stencil"]),
    "apply_layer": (forgotten("bias"), with_output(np.negative), with_input("stencil", flipped)),
    "layer_tangent": (forgotten("bias_direction"), forgotten("stencil_direction"), with_output(np.negative)),
    "layer_adjoint": (with_output(lambda x: x / 2), with_input("stencil", flipped)),
    "propagate": NETWORK,
    "propagate_tangent": (*NETWORK, forgotten("opening_direction")),
    "propagate_adjoint": NETWORK,
    "classifier_loss": (no_volume, with_input("labels", lambda c: (c + 1) % 2), forgotten("mu")),
    "classifier_hessian_product": (no_volume, MEAN, forgotten("mu_direction")),
    "weight_regularizer": (MEAN, lambda f, a: f(**(a | {"alpha_W": a["alpha_W"] * cells(a["W"])}))),
    "control_regularizer": (with_input("final_time", lambda T: T / 2), MEAN),
    "control_gradient": (*NETWORK, no_volume),
    "gauss_newton_product": (*NETWORK, no_volume),
    "control_step": (with_input("cg_iterations", lambda n: n - 1), with_input("alpha_0", lambda x: x / 2)),
    "classifier_steps": (
        with_input("newton_steps", lambda n: n - 1),
        with_input("cg_iterations", lambda n: n - 1),
        with_input("alpha_W", lambda x: 2 * x),
        no_volume,
    ),
    "descent_iteration": (
        with_input("subsample", lambda i: np.arange(2)),
        with_input("cg_iterations", lambda n: n - 1),
        with_input("newton_steps", lambda n: n - 1),
        with_input("alpha_W", lambda x: 2 * x),
        no_volume,
    ),
    "basic_block": BLOCK,
    "basic_block_adjoint": (*BLOCK, with_output(lambda x: x / 2)),
    "prolong_in_time": (
        with_output(lambda x: x[::-1] - 1),
        with_output(lambda x: x * (np.arange(len(x)) < len(x) - 1).reshape(-1, *(1,) * (x.ndim - 1))),
    ),
    "switch_level": (with_input("W", lambda W: W / 4), forgotten("biases"), with_input("opening", flipped)),
}
