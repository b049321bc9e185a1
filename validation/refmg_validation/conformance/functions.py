"""The functions that an implementation may have: names, arguments and results."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    """What an implementation is called with, and what it returns.

    Attributes
    ----------
    arguments : tuple of str
        Names of the keyword arguments.
    returns : tuple of str
        Names of the outputs, in order.
    meaning : str
        What is computed.
    """

    arguments: tuple[str, ...]
    returns: tuple[str, ...]
    meaning: str


def _function(arguments: str, returns: str, meaning: str) -> Function:
    return Function(tuple(arguments.split()), tuple(returns.split()), " ".join(meaning.split()))


LAYER = "layer activation boundary"
NETWORK = f"{LAYER} integrator final_time steps images opening stencils biases"
LEARNING = f"{NETWORK} loss W mu labels"
BLOCK_PARTS = "features " + " ".join(f"stencil_{i} scale_{i} shift_{i}" for i in (1, 2, 3))
BLOCK = f"{BLOCK_PARTS} stride eps boundary"

NUMBERS = "a number, or an array of one an axis"
# What the cases give for arguments that are no arrays of features or parameters; a test compares.
CHOICES: dict[str, tuple[str, ...] | str] = {
    "transfer": ("average", "full-weighting", "linear"),
    "boundary": ("periodic", "reflect", "zero"),
    "layer": ("hamiltonian", "residual", "symmetric"),
    "activation": ("identity", "relu", "smooth-relu", "tanh"),
    "integrator": ("euler", "leapfrog", "rk4", "verlet"),
    "interpolation": ("constant", "cubic", "linear"),
    "loss": ("hinge", "least-squares", "logistic", "softmax", "svm"),
    "factor": NUMBERS,
    "stride": NUMBERS,
}

FUNCTIONS: dict[str, Function] = {
    "convolve": _function(
        "features stencil boundary stride",
        "features",
        "`K(s) y`: cross-correlation, `(K(s) y)_i = sum_j s_j y_{i + j}` with centred offsets `j`; "
        "output cell `o` is centred at input cell `o * stride`.",
    ),
    "convolve_transpose": _function(
        "features stencil shape boundary stride",
        "features",
        "`K(s)^T z`, the adjoint of `convolve`; `shape` is the grid of the result.",
    ),
    "stencil_gradient": _function(
        "features cotangent width boundary stride",
        "stencil",
        "The gradient of `<K(s) y, z>` with respect to `s`, for `y = features` and `z = cotangent`.",
    ),
    "restrict_features": _function(
        "features transfer factor boundary", "features", "`R y`, on every channel."
    ),
    "prolong_features": _function(
        "features transfer factor boundary", "features", "`P y`, on every channel."
    ),
    "coarse_operator": _function(
        "stencil shape transfer factor boundary",
        "matrix",
        "The dense matrix `R K(s) P` of the Galerkin operator; `shape` is the fine grid.",
    ),
    "restrict_stencil": _function(
        "stencil transfer factor", "stencil", "The stencil with `K(s_H) = R K(s_h) P`."
    ),
    "prolong_stencil": _function(
        "stencil transfer factor", "stencil", "The stencil `s_h` with `R K(s_h) P = K(s_H)`."
    ),
    "power_law_restrict": _function(
        "stencil exponent factor",
        "stencil",
        "The stencil that best predicts, `s_H = (E psi psi^T)^-1 (E psi phi^T) s_h`, over images with "
        "power `|f|^-exponent` on a periodic fine grid of `32 factor` cells an axis; the sum of the taps is "
        "kept.",
    ),
    "power_law_prolong": _function("stencil exponent factor", "stencil", "The same from coarse to fine."),
    "spectrum_restrict": _function(
        "stencil images factor",
        "stencil",
        "The stencil that best predicts over the given fine images, taken periodically, their mean not "
        "removed.",
    ),
    "spectrum_prolong": _function("stencil images factor", "stencil", "The same from coarse to fine."),
    "calibrated_stencil": _function(
        "stencil fine_features coarse_features ridge boundary",
        "stencil",
        "The stencil that minimises `|K(s_H) y_H - R K(s_h) y_h|^2 + lambda |s_H - s_h|^2` with R of "
        "`linear`, `lambda` being `ridge` times the mean of the diagonal of the normal matrix.",
    ),
    "apply_layer": _function(f"{LAYER} features stencil bias", "features", "`F(y)`."),
    "layer_tangent": _function(
        f"{LAYER} features stencil bias features_direction stencil_direction bias_direction",
        "features",
        "The derivative of `F` along a direction of features and parameters.",
    ),
    "layer_adjoint": _function(
        f"{LAYER} features stencil bias cotangent",
        "features stencil bias",
        "The adjoint of that derivative applied to `cotangent`.",
    ),
    "propagate": _function(
        NETWORK,
        "features",
        "The final features: opening, then `steps` steps of the integrator. The M controls lie at `j T / M`; "
        "between them they are linear in time, after the last one constant.",
    ),
    "propagate_tangent": _function(
        f"{NETWORK} opening_direction stencils_direction biases_direction",
        "features",
        "`J v`, the derivative of the final features along a direction of the controls.",
    ),
    "propagate_adjoint": _function(
        f"{NETWORK} cotangent",
        "opening stencils biases",
        "`J^T p`, the discrete adjoint applied to a cotangent of the final features.",
    ),
    "classifier_loss": _function(
        "loss features W mu labels",
        "logits value features W mu",
        "The logits `h^d W^T y + mu`, the mean loss over the examples, and its gradients.",
    ),
    "classifier_hessian_product": _function(
        "loss features W mu labels W_direction mu_direction",
        "W mu",
        "The Hessian of the mean loss in `W` and `mu` times a direction.",
    ),
    "weight_regularizer": _function(
        "W alpha_W", "value W", "`alpha_W / 2 h^d |grad_h W|^2` and its gradient."
    ),
    "control_regularizer": _function(
        "opening stencils biases final_time alpha_t alpha_0",
        "value opening stencils biases",
        "`alpha_t / 2 sum_k |theta_{k+1} - theta_k|^2 / dt + alpha_0 / 2 (|L|^2 + dt sum_k |theta_k|^2)` and "
        "its gradient, `dt` being the distance of the nodes in time.",
    ),
    "control_gradient": _function(
        LEARNING,
        "value opening stencils biases",
        "The mean loss of the whole network and its gradient by the controls.",
    ),
    "gauss_newton_product": _function(
        f"{LEARNING} opening_direction stencils_direction biases_direction",
        "opening stencils biases",
        "`J^T H J v` in the controls: `J` the Jacobian of the logits, `H` the Hessian of the mean loss in "
        "them.",
    ),
    "control_step": _function(
        f"{LEARNING} alpha_t alpha_0 cg_iterations cg_tolerance",
        "opening stencils biases step",
        "The controls after one Gauss-Newton step with conjugate gradients and Armijo's rule.",
    ),
    "classifier_steps": _function(
        "loss features W mu labels alpha_W newton_steps cg_iterations cg_tolerance",
        "W mu",
        "The classifier after some Newton steps, preconditioned by the cell volume, with Armijo's rule.",
    ),
    "descent_iteration": _function(
        f"{LEARNING} subsample alpha_t alpha_0 alpha_W cg_iterations cg_tolerance newton_steps "
        "newton_cg_iterations newton_cg_tolerance",
        "opening stencils biases W mu",
        "One iteration of block coordinate descent: a `control_step` whose Gauss-Newton matrix is the mean "
        "over the examples `subsample` (numbers from 0) and whose gradient and value are of all, then "
        "`classifier_steps` at the new features.",
    ),
    "basic_block": _function(
        BLOCK,
        "features",
        "A basic block of a residual network: `relu(n_2(K(s_2) relu(n_1(K(s_1) y))) + n_3(K(s_3) y))`, the "
        "first and the last convolution with the stride, `n_i` batch norm in training mode: every channel "
        "minus its mean over cells and examples, by `sqrt(variance + eps)`, the variance a mean as well, "
        "times `scale_i` plus `shift_i`.",
    ),
    "basic_block_adjoint": _function(
        f"{BLOCK} cotangent",
        BLOCK_PARTS,
        "The adjoint of its derivative applied to `cotangent`, through mean and variance as well.",
    ),
    "prolong_in_time": _function(
        "stencils biases nodes interpolation",
        "stencils biases",
        "The controls at other nodes of the same time interval.",
    ),
    "switch_level": _function(
        "opening stencils biases W mu transfer shape nodes boundary",
        "opening stencils biases W mu",
        "All parameters on the finer grid `shape` and at more `nodes` in time: stencils prolonged, then "
        "interpolated linearly in time, `W_h = P W_H`.",
    ),
}
