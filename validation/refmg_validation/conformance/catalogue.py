"""All cases, group by group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

from refmg_backends import RefmgError, one_of
from refmg_validation.conformance.case import LEVELS, Case
from refmg_validation.conformance.groups import (
    blocks,
    classifier,
    convolution,
    image_maps,
    integrators,
    layers,
    levels,
    optimization,
    regularization,
    stencil_maps,
    transfer,
)

GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    "convolution": convolution.cases,
    "transfer": transfer.cases,
    "stencil-maps": stencil_maps.cases,
    "image-maps": image_maps.cases,
    "layers": layers.cases,
    "integrators": integrators.cases,
    "classifier": classifier.cases,
    "regularization": regularization.cases,
    "optimization": optimization.cases,
    "levels": levels.cases,
    "blocks": blocks.cases,
}


def cases(level: str = "full") -> list[Case]:
    """Return the cases, always the same ones in the same order.

    Parameters
    ----------
    level : {"core", "full"}
        ``"full"`` contains ``"core"``.

    Returns
    -------
    list of Case

    Raises
    ------
    RefmgError
        If the level is unknown.

    Examples
    --------
    >>> first = cases("core")[0]
    >>> first.name, first.function, first.exact
    ('convolve-1d-periodic', 'convolve', True)
    """
    if level not in LEVELS:
        raise RefmgError(one_of("level", level, LEVELS))
    return [case for case in _all() if level == "full" or case.level == "core"]


@cache
def _all() -> tuple[Case, ...]:
    return tuple(replace(case, group=name) for name, group in GROUPS.items() for case in group())
