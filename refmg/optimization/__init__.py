"""Optimisation: line searches, conjugate gradients, Newton, block coordinate descent and its rivals."""

from refmg.optimization.block_coordinate_descent import block_coordinate_descent, control_step
from refmg.optimization.classifier_block import ClassifierSteps, classifier_steps
from refmg.optimization.conjugate_gradient import CGResult, conjugate_gradient
from refmg.optimization.iteration import Iteration
from refmg.optimization.lbfgs import lbfgs
from refmg.optimization.line_search import LineSearchResult, armijo, wolfe
from refmg.optimization.newton import NewtonStep, newton_step
from refmg.optimization.settings import TrainingSettings
from refmg.optimization.stochastic import StochasticSettings, stochastic_descent
from refmg.optimization.variable_projection import variable_projection

__all__ = [
    "CGResult",
    "ClassifierSteps",
    "Iteration",
    "LineSearchResult",
    "NewtonStep",
    "StochasticSettings",
    "TrainingSettings",
    "armijo",
    "block_coordinate_descent",
    "classifier_steps",
    "conjugate_gradient",
    "control_step",
    "lbfgs",
    "newton_step",
    "stochastic_descent",
    "variable_projection",
    "wolfe",
]
