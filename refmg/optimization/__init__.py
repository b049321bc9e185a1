"""Optimisation: conjugate gradients, line search, Newton and block coordinate descent."""

from refmg.optimization.block_coordinate_descent import (
    Iteration,
    TrainingSettings,
    block_coordinate_descent,
    classifier_steps,
    control_step,
)
from refmg.optimization.conjugate_gradient import CGResult, conjugate_gradient
from refmg.optimization.line_search import LineSearchResult, armijo
from refmg.optimization.newton import NewtonStep, newton_step

__all__ = [
    "CGResult",
    "Iteration",
    "LineSearchResult",
    "NewtonStep",
    "TrainingSettings",
    "armijo",
    "block_coordinate_descent",
    "classifier_steps",
    "conjugate_gradient",
    "control_step",
    "newton_step",
]
