"""Optimisation: line searches, conjugate gradients, Newton, block coordinate descent and its rivals."""

from refmg.optimization.allocation import (
    level_costs,
    optimal_examples,
    step_cost,
    term_costs,
    variance_ratio,
)
from refmg.optimization.block_coordinate_descent import block_coordinate_descent, control_step
from refmg.optimization.classifier_block import ClassifierSteps, classifier_steps
from refmg.optimization.conjugate_gradient import CGResult, conjugate_gradient
from refmg.optimization.iteration import Iteration
from refmg.optimization.lbfgs import lbfgs
from refmg.optimization.line_search import LineSearchResult, armijo, wolfe
from refmg.optimization.multiscale import MultiscaleIteration, MultiscaleSettings, multiscale_descent
from refmg.optimization.multiscale_gradient import GradientEstimate, MultiscaleGradient, Term
from refmg.optimization.newton import NewtonStep, newton_step
from refmg.optimization.rules import RuleState
from refmg.optimization.settings import TrainingSettings
from refmg.optimization.stochastic import StochasticSettings, stochastic_descent
from refmg.optimization.variable_projection import variable_projection

__all__ = [
    "variance_ratio",
    "term_costs",
    "step_cost",
    "optimal_examples",
    "multiscale_descent",
    "level_costs",
    "Term",
    "MultiscaleSettings",
    "MultiscaleIteration",
    "MultiscaleGradient",
    "GradientEstimate",
    "CGResult",
    "ClassifierSteps",
    "Iteration",
    "LineSearchResult",
    "NewtonStep",
    "RuleState",
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
