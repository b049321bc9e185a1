"""PyTorch with autograd against the suite: a model for an adapter of your own.

Every function has the name and the arguments that the suite asks for, NumPy arrays in refmg's layout. What
computes knows nothing of refmg: PyTorch's convolutions, pooling and interpolation, its losses, autograd.
"""

from refmg_validation.adapters.torch.block_functions import basic_block, basic_block_adjoint
from refmg_validation.adapters.torch.grid_functions import (
    calibrated_stencil,
    coarse_operator,
    convolve,
    convolve_transpose,
    power_law_prolong,
    power_law_restrict,
    prolong_features,
    prolong_stencil,
    restrict_features,
    restrict_stencil,
    spectrum_prolong,
    spectrum_restrict,
    stencil_gradient,
)
from refmg_validation.adapters.torch.learning_functions import (
    classifier_hessian_product,
    classifier_loss,
    classifier_steps,
    control_gradient,
    control_regularizer,
    control_step,
    descent_iteration,
    gauss_newton_product,
    weight_regularizer,
)
from refmg_validation.adapters.torch.level_functions import (
    prolong_in_time,
    switch_level,
)
from refmg_validation.adapters.torch.network_functions import (
    apply_layer,
    layer_adjoint,
    layer_tangent,
    propagate,
    propagate_adjoint,
    propagate_tangent,
)

__all__ = [
    "apply_layer",
    "basic_block",
    "basic_block_adjoint",
    "calibrated_stencil",
    "classifier_hessian_product",
    "classifier_loss",
    "classifier_steps",
    "coarse_operator",
    "control_gradient",
    "control_regularizer",
    "control_step",
    "descent_iteration",
    "convolve",
    "convolve_transpose",
    "gauss_newton_product",
    "layer_adjoint",
    "layer_tangent",
    "power_law_prolong",
    "power_law_restrict",
    "prolong_features",
    "prolong_in_time",
    "prolong_stencil",
    "propagate",
    "propagate_adjoint",
    "propagate_tangent",
    "restrict_features",
    "restrict_stencil",
    "spectrum_prolong",
    "spectrum_restrict",
    "stencil_gradient",
    "switch_level",
    "weight_regularizer",
]
