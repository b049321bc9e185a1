"""Wrong implementations for ``refmg verify``: for every check, one that it has to reject."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from refmg.best_prolongation import BestProlongation
from refmg.calibration import StencilFit
from refmg.classifier import Classifier
from refmg.classifier_objective import ClassifierObjective
from refmg.convolution import Convolution
from refmg.integrators import INTEGRATORS
from refmg.joint_map import JointMap
from refmg.losses import LOSSES
from refmg.multilevel.switch import SwitchPart
from refmg.objective import ControlObjective, NetworkObjective
from refmg.parameter_move import ParameterMove
from refmg.predictive_map import PredictiveMap
from refmg.propagation import Propagation
from refmg.readout import Readout
from refmg.regularization import Regularization
from refmg.stencil_map import StencilMap
from refmg.trajectory import CheckpointedTrajectory, ReversibleTrajectory, Trajectory
from refmg.transfer import TRANSFERS, Taps, TransferPair
from refmg_validation.checks import control, exact, images, levels, operators, taps, training
from refmg_validation.checks.control_problem import ControlProblem
from refmg_validation.verify import SEED

SLIGHT = 1 + 1e-9


@dataclass(frozen=True)
class Mutant:
    """A change of one thing."""

    name: str
    target: object
    attribute: str
    make: object  # from what is there to what replaces it

    def install(self, monkeypatch):
        if isinstance(self.target, dict):
            monkeypatch.setitem(self.target, self.attribute, self.make(self.target[self.attribute]))
            return
        there = self.target.__dict__.get(self.attribute)
        there = getattr(self.target, self.attribute) if there is None else there
        monkeypatch.setattr(self.target, self.attribute, self.make(there))


def returns(change):
    """Return a function's result changed."""
    return lambda right: lambda *given, **named: change(right(*given, **named))


def cached(change):
    """Return a cached property's value changed."""
    return lambda right: property(lambda self: change(right.func(self)))


def gradient(factor):
    return returns(lambda found: (found[0], factor * found[1]))


def products(right):
    """The Gauss-Newton product slightly off."""

    def made(*given, **named):
        product = right(*given, **named)
        return lambda v: product(v) * SLIGHT

    return made


def late(schedule):
    """Steps that are a tenth too long."""
    return lambda self, dt, steps: schedule(self, 1.1 * dt, steps)


def no_volume(right):
    return lambda self, backend, volume, Y: right(self, backend, 1.0, Y)


def shifted(pair):
    """R and P shifted by one cell, in different directions."""

    def moved(factor):
        R, P = pair(factor).restriction, pair(factor).prolongation
        return TransferPair(factor, Taps(R.first + 1, R.weights), Taps(P.first - 1, P.weights))

    return moved


def no_quadratic(right):
    return lambda self, xp, x, dt: right(self, xp, x, dt) + 1e-9 * float(np.sum(x.flat(np)))


def by_batches(right):
    """A gradient that knows into how many batches the images were cut."""

    def totals(self, vector):
        *found, gradient = right(self, vector)
        return *found, gradient * (1 + 1e-9 * len(list(self.batches)))

    return totals


def ahead(right):
    """A resumed run that begins with another network."""

    def descend(network, x, labels, settings, done=-1):
        moved = network.controls.map(lambda a: a * (1 + 1e-12))
        yield from right(network if done < 0 else network.with_controls(moved), x, labels, settings, done)

    return descend


def rising(right):
    def descend(network, x, labels, settings, done=-1):
        for step in right(network, x, labels, settings, done):
            seen = replace(step.evaluation, loss=step.evaluation.loss + 9 * step.number)
            yield replace(step, evaluation=seen)

    return descend


def of_controls(change):
    return returns(lambda network: network.with_controls(network.controls.map(change)))


def between(controls):
    """New controls between the old ones are off."""
    odd = np.arange(len(controls)) % 2
    return controls * (1 + 1e-12 * odd.reshape(-1, *(1,) * (controls.ndim - 1)))


def read_otherwise(found):
    network, rest = found
    return network.with_controls(network.controls.map(lambda a: a * (1 + 1e-15))), rest


def first_row(matrix):
    """The first node moved to the second."""
    changed = matrix.copy()
    changed[0] = np.roll(changed[0], 1)
    return changed


def no_eigenvectors(found):
    """The first tap of each derivative off by one."""
    first = [[1, *[0] * (len(d.stencil) - 1)] for d in found]
    return [replace(d, stencil=np.asarray(d.stencil) + one) for d, one in zip(found, first, strict=True)]


def wrong_weights(found):
    return replace(found, classifier=Classifier(found.classifier.W * SLIGHT, found.classifier.mu))


MUTANTS = {
    "exact": [
        Mutant("R twice", exact, "restriction_matrix", returns(lambda R: 2 * R)),
        Mutant("no inverse", exact, "inverse", lambda right: lambda T: T),
        Mutant("no eigenvectors", exact, "derivatives", returns(no_eigenvectors)),
        Mutant("twice in time", exact, "time_matrix", returns(lambda T: 2 * T)),
        Mutant("a node moved", exact, "time_matrix", returns(first_row)),
        Mutant("another P", exact, "prolongation_matrix",
               returns(lambda P: P[np.roll(np.arange(P.shape[0]), 1)])),
    ],
    "taps": [
        *(Mutant(f"{name} shifted", TRANSFERS, name, shifted) for name in TRANSFERS),
        Mutant("R twice", taps, "restriction_matrix", returns(lambda R: 2 * R)),
        Mutant("P twice", taps, "prolongation_matrix", returns(lambda P: 2 * P)),
        Mutant("another closed form", StencilMap, "restrict", returns(lambda s: s + 1e-9)),
    ],
    "kernels": [
        Mutant("K y off", Convolution, "apply", returns(lambda y: y + 1e-9)),
        Mutant("K^T z off", Convolution, "apply_transpose", returns(lambda y: y + 1e-9)),
        Mutant("gradient off", Convolution, "stencil_gradient", returns(lambda y: y + 1e-9)),
    ],
    "operators": [
        Mutant("no adjoint", Convolution, "apply_transpose", returns(lambda y: y * SLIGHT)),
        Mutant("another pair", TRANSFERS, "linear", lambda right: TRANSFERS["average"]),
    ],
    "transfers": [
        Mutant("up is off", StencilMap, "prolong", returns(lambda s: s * SLIGHT)),
        Mutant("R is off", operators, "restriction_matrix", returns(lambda R: R * (1 + 1e-15))),
    ],
    "images": [
        Mutant("down is off", PredictiveMap, "restriction", cached(lambda M: M * SLIGHT)),
        Mutant("best P is off", BestProlongation, "matrix", returns(lambda P: P * SLIGHT)),
        Mutant("joint is off", JointMap, "prolongation", cached(lambda M: M * SLIGHT)),
        Mutant("calibrated is off", StencilFit, "solve", returns(lambda s: s * SLIGHT)),
        Mutant("symbol is off", images, "galerkin_symbol", returns(lambda s: s * SLIGHT)),
    ],
    "control": [
        Mutant("tangent", Trajectory, "tangent", returns(lambda Y: Y * SLIGHT)),
        Mutant("adjoint", Trajectory, "adjoint", returns(lambda c: c.map(lambda a: a * SLIGHT))),
        Mutant("gradient of a block", ControlObjective, "value_and_gradient", gradient(SLIGHT)),
        Mutant("product", ControlObjective, "gauss_newton", products),
        Mutant("value", NetworkObjective, "value", returns(lambda v: 1.01 * v)),
        Mutant("checkpoints", CheckpointedTrajectory, "adjoint",
               returns(lambda c: c.map(lambda a: a * (1 + 1e-15)))),
        Mutant("reversal", ReversibleTrajectory, "adjoint", returns(lambda c: c.map(lambda a: a * SLIGHT))),
        Mutant("batches", NetworkObjective, "_totals_and_gradient", by_batches),
        Mutant("eigenvalues", control, "symbols_checked",
               returns(lambda pairs: [(a * SLIGHT, b) for a, b in pairs])),
        *(Mutant(f"longer steps of {name}", type(one), "schedule", late)
          for name, one in INTEGRATORS.items()),
        *(Mutant(f"loss {name}", type(one), "value", returns(lambda v: 1.01 * v))
          for name, one in LOSSES.items()),
    ],
    "training": [
        Mutant("no volume", Classifier, "logits", no_volume),
        Mutant("derivatives", ClassifierObjective, "derivatives",
               returns(lambda f: (f[0], f[1] * SLIGHT, lambda v: f[2](v) * SLIGHT))),
        Mutant("a rise", training, "block_coordinate_descent", rising),
        Mutant("another start", training, "block_coordinate_descent", ahead),
        Mutant("adjoint of the move", ParameterMove, "adjoint", returns(lambda v: v * SLIGHT)),
        Mutant("depth", training, "change_depth", of_controls(lambda a: a * (1 + 1e-12))),
        Mutant("between", training, "change_depth", of_controls(between)),
        Mutant("read otherwise", training, "load_network", returns(read_otherwise)),
    ],
    "regularizers": [
        Mutant("W", Regularization, "of_weights", returns(lambda a: a * SLIGHT)),
        Mutant("no h^d", Regularization, "of_weights",
               lambda right: lambda self, xp, W, grid: right(self, xp, W, grid) / grid.cell_volume),
        Mutant("controls", Regularization, "of_controls", returns(lambda c: c.map(lambda a: a * SLIGHT))),
        Mutant("no dt", Regularization, "of_controls",
               lambda right: lambda self, xp, x, dt: right(self, xp, x, 1.0)),
        Mutant("no symmetry", Regularization, "of_weights",
               returns(lambda a: a + 1e-9 * np.roll(a, 1, axis=-2))),
        Mutant("value of controls", Regularization, "value_of_controls", no_quadratic),
    ],
    "levels": [
        Mutant("W is off", levels, "moved_to", returns(wrong_weights)),
        Mutant("stencils are off", levels, "moved_to", of_controls(lambda a: a * SLIGHT)),
        Mutant("told otherwise", levels, "switch_parts",
               returns(lambda parts: [SwitchPart(p.name, "kept", p.how) for p in parts])),
        Mutant("stencils grow", levels, "moved_to", of_controls(lambda a: a * 100)),
    ],
    "backend": [
        Mutant("features", Propagation, "apply", returns(lambda Y: Y * SLIGHT)),
        Mutant("tangent", Trajectory, "tangent", returns(lambda Y: Y * SLIGHT)),
        Mutant("adjoint", Trajectory, "adjoint", returns(lambda c: c.map(lambda a: a * SLIGHT))),
        Mutant("gradient", ControlObjective, "value_and_gradient", gradient(SLIGHT)),
        Mutant("product", ControlObjective, "gauss_newton", products),
        Mutant("no volume", Readout, "from_products",
               lambda right: lambda self, products: right(replace(self, cell_volume=1.0), products)),
    ],
}  # fmt: skip


@cache
def solutions():
    """Solutions of the differential equations, which take most of the time; ask for them before a mutant."""
    layers = {name: "hamiltonian" if name == "verlet" else "residual" for name in INTEGRATORS}
    return {name: ControlProblem(layers[name], name, 2, seed=SEED).exact() for name in INTEGRATORS}
