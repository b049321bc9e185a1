"""How much work a path is expected to be, for the time that is left."""

from __future__ import annotations

from refmg import Architecture
from refmg.multilevel.settings import Settings, last_number
from refmg.optimization import TrainingSettings
from refmg.optimization.iteration import ADJOINT, FORWARD, TANGENT
from refmg_validation.multilevel.costs import classifier_share
from refmg_validation.multilevel.paths import TrainingPath


def expected_work(path: TrainingPath, examples: int) -> list[list[float]]:
    """Return the work of every iteration on every level, in layers times cells times examples.

    Conjugate gradients are taken to use all their iterations, and line searches one trial. Only ratios
    matter: seconds come from those that were measured.

    Parameters
    ----------
    path : TrainingPath
        Levels and how they are trained.
    examples : int
        Training images.

    Examples
    --------
    >>> from refmg.multilevel import Level
    >>> from refmg.optimization import StochasticSettings
    >>> levels = tuple(Level(shape, 2, settings=StochasticSettings(epochs=2)) for shape in ((4, 4), (8, 8)))
    >>> a = Architecture((4, 4), layers=2, channels=8, classes=9)
    >>> expected_work(TrainingPath("p", a, levels), 10)
    [[1020.0, 1020.0], [4080.0, 4080.0]]
    """
    plan = zip(path.architectures, path.levels, strict=True)
    return [
        [_iteration(a, level.settings, examples, number) for number in range(last_number(level.settings) + 1)]
        for a, level in plan
    ]


def _iteration(a: Architecture, settings: Settings, m: int, number: int) -> float:
    share = classifier_share(a)
    if not isinstance(settings, TrainingSettings):
        return a.grid.cells * m * (FORWARD + ADJOINT) * (a.layers + share)
    newton = 1 + settings.newton_steps * (2 + 2 * settings.newton_cg_iterations)
    if number == 0:
        return a.grid.cells * m * (FORWARD * a.layers + newton * share)
    h, products = min(settings.hessian_examples, m), settings.cg_iterations
    layers = (3 * FORWARD + ADJOINT) * m + (FORWARD + products * (TANGENT + ADJOINT)) * h
    features = (3 + newton) * m + (1 + 2 * products) * h
    return a.grid.cells * (layers * a.layers + features * share)
