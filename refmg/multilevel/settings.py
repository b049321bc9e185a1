"""The settings of either optimiser, as one kind of data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from refmg.optimization import StochasticSettings, TrainingSettings
from refmg.regularization import Regularization
from refmg_backends import RefmgError, one_of

Settings = TrainingSettings | StochasticSettings
KINDS: dict[str, type[Settings]] = {
    "block coordinate descent": TrainingSettings,
    "stochastic": StochasticSettings,
}


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
    if isinstance(settings, StochasticSettings):
        number = settings.epochs if iterations is None else iterations
        return replace(settings, epochs=number), number
    if not isinstance(settings, TrainingSettings):
        raise RefmgError(
            f"found settings of type {type(settings).__name__}; expected TrainingSettings or "
            "StochasticSettings"
        )
    number = settings.iterations if iterations is None else iterations
    return replace(settings, iterations=number), number


def last_number(settings: Settings) -> int:
    """Return the number of the last iteration: the first is 0, for block coordinate descent an extra one."""
    return settings.epochs - 1 if isinstance(settings, StochasticSettings) else settings.iterations


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
    try:
        rest["regularization"] = Regularization(**rest.get("regularization", {}))
        rest |= {"betas": tuple(rest["betas"])} if "betas" in rest else {}
        return kind(**rest)
    except TypeError as error:
        raise RefmgError(f"found the settings {sorted(rest)} of {values['optimizer']!r}: {error}") from error
