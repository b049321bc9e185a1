"""The settings of every optimiser, as one kind of data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from refmg.architecture import Architecture
from refmg.integrators import named_integrator
from refmg.optimization import MultiscaleSettings, StochasticSettings, TrainingSettings
from refmg.optimization.multiscale_gradient import check_grids
from refmg.regularization import Regularization
from refmg.trajectory import check_storage
from refmg_backends import RefmgError, one_of

Settings = TrainingSettings | StochasticSettings | MultiscaleSettings
KINDS: dict[str, type[Settings]] = {
    "block coordinate descent": TrainingSettings,
    "stochastic": StochasticSettings,
    "multiscale": MultiscaleSettings,
}


def common(settings: Settings) -> TrainingSettings | StochasticSettings:
    """Return the part with what all optimisers have: batches, regularisers, loss, storage and seed.

    Examples
    --------
    >>> common(MultiscaleSettings(((4, 4),))).loss
    'softmax'
    """
    return settings.stochastic if isinstance(settings, MultiscaleSettings) else settings


def with_iterations(settings: Settings, iterations: int | None) -> tuple[Settings, int]:
    """Return the settings with this number of iterations or epochs, and the number.

    Raises
    ------
    RefmgError
        If the number is out of range, or these are no settings of an optimiser that trains levels.

    Examples
    --------
    >>> with_iterations(StochasticSettings(epochs=3), None)[1]
    3
    """
    if isinstance(settings, MultiscaleSettings):
        number = settings.stochastic.epochs if iterations is None else iterations
        return replace(settings, stochastic=replace(settings.stochastic, epochs=number)), number
    if isinstance(settings, StochasticSettings):
        number = settings.epochs if iterations is None else iterations
        return replace(settings, epochs=number), number
    if not isinstance(settings, TrainingSettings):
        raise RefmgError(
            f"found settings of type {type(settings).__name__}; expected TrainingSettings, "
            "StochasticSettings or MultiscaleSettings"
        )
    number = settings.iterations if iterations is None else iterations
    return replace(settings, iterations=number), number


def last_number(settings: Settings) -> int:
    """Return the number of the last iteration: the first is 0, for block coordinate descent an extra one."""
    own = common(settings)
    return own.iterations if isinstance(own, TrainingSettings) else own.epochs - 1


def check_settings(settings: Settings, a: Architecture) -> None:
    """Refuse settings with which a network of this architecture cannot be trained.

    Raises
    ------
    RefmgError
        If the integrator cannot be reversed as `storage` asks, or multiscale gradients cannot be made.

    Examples
    --------
    >>> check_settings(TrainingSettings(storage="checkpoint"), Architecture((8, 8)))
    """
    check_storage(common(settings).storage, named_integrator(a.integrator))
    if isinstance(settings, MultiscaleSettings):
        check_grids(a, settings.coarser, settings.transfer)


def settings_as_dict(settings: Settings) -> dict[str, Any]:
    """Return plain values, ready for JSON, with the kind of optimiser.

    Examples
    --------
    >>> settings_as_dict(StochasticSettings("sgd"))["optimizer"]
    'stochastic'
    """
    kind = next(name for name, kind in KINDS.items() if isinstance(settings, kind))
    return {"optimizer": kind} | settings.as_dict()


def settings_from_dict(values: dict[str, Any]) -> Settings:
    """Return the settings that :func:`settings_as_dict` described.

    Raises
    ------
    RefmgError
        If the kind is unknown, or an entry is unknown or out of range.

    Examples
    --------
    >>> settings_from_dict(settings_as_dict(StochasticSettings("sgd"))) == StochasticSettings("sgd")
    True
    """
    kind = KINDS.get(values.get("optimizer", ""))
    if kind is None:
        raise RefmgError(one_of("optimizer", str(values.get("optimizer")), KINDS))
    rest = {name: value for name, value in values.items() if name != "optimizer"}
    if kind is MultiscaleSettings:
        return _multiscale(rest)
    return _one_grid(kind, rest)


def _multiscale(rest: dict[str, Any]) -> MultiscaleSettings:
    try:
        inner, sizes = _one_grid(StochasticSettings, rest["stochastic"]), rest["examples"]
        grids = tuple(tuple(shape) for shape in rest["coarser"])
        read = {"coarser": grids, "stochastic": inner, "examples": None if sizes is None else tuple(sizes)}
        return MultiscaleSettings(**(rest | read))
    except (KeyError, TypeError) as error:
        raise RefmgError(f"found the settings {sorted(rest)} of 'multiscale': {error!r}") from error


def _one_grid(kind: type[Settings], rest: dict[str, Any]) -> Any:
    rest = dict(rest)
    try:
        rest["regularization"] = Regularization(**rest.get("regularization", {}))
        rest |= {"betas": tuple(rest["betas"])} if "betas" in rest else {}
        return kind(**rest)
    except TypeError as error:
        raise RefmgError(f"found the settings {sorted(rest)} of {kind.__name__}: {error}") from error
