"""What a path has cost when: seconds, and work in units of the largest network."""

from __future__ import annotations

from math import prod
from typing import Any

from refmg import Architecture


def with_costs(records: list[dict[str, Any]], largest: Architecture, examples: int) -> list[dict[str, Any]]:
    """Return the iterations and switches of a path, each with its cost so far.

    Parameters
    ----------
    records : list of dict
        Of one path.
    largest : Architecture
        Gives the unit of work.
    examples : int
        Training images.

    Returns
    -------
    list of dict
        With ``"elapsed"``, seconds of training and moving without the measurements, and ``"total_work"``: one
        unit is a forward pass of all training images through the layers of the largest network. An
        iteration's work is (examples that passed all layers) x layers x cells, over the same product for the
        unit, and (products of features with the classifier) x cells x :func:`classifier_share`.

    Examples
    --------
    >>> row = {"kind": "iteration", "seconds": 2.0, "work": 30, "layers": 2, "shape": [4]}
    >>> largest = Architecture((8,), channels=5, layers=4, classes=3)
    >>> (found,) = with_costs([row | {"classifier_work": 0}], largest, 10)
    >>> found["elapsed"], found["total_work"]
    (2.0, 0.75)
    >>> with_costs([row | {"classifier_work": 100}], largest, 10)[0]["total_work"]
    1.0
    """
    found, elapsed, work = list[dict[str, Any]](), 0.0, 0.0
    unit = examples * largest.layers * prod(largest.shape)
    for record in records:
        if record["kind"] not in ("iteration", "switch"):
            continue
        elapsed += record["seconds"]
        if record["kind"] == "iteration":
            passed = record["work"] * record["layers"] + record["classifier_work"] * classifier_share(largest)
            work += passed * prod(record["shape"]) / unit
        found.append(record | {"elapsed": elapsed, "total_work": work})
    return found


def classifier_share(a: Architecture) -> float:
    """Return the multiplications of one product with the classifier over those of one layer, per cell.

    Examples
    --------
    >>> classifier_share(Architecture((28, 28), channels=8, classes=10))  # 80 against 576
    0.1388888888888889
    """
    return a.channels * a.classes / prod(a.stencil_shape)


def iterations_on(records: list[dict[str, Any]], shape: tuple[int, ...], layers: int) -> list[dict[str, Any]]:
    """Return the iterations on one level."""
    return [
        r
        for r in records
        if r["kind"] == "iteration" and tuple(r["shape"]) == tuple(shape) and r["layers"] == layers
    ]


def first_to(rows: list[dict[str, Any]], validation: float) -> dict[str, Any] | None:
    """Return the first iteration that reached a validation accuracy; None if none did.

    Examples
    --------
    >>> first_to([{"validation": 0.8}, {"validation": 0.9}, {"validation": 0.95}], 0.9)
    {'validation': 0.9}
    """
    return next((row for row in rows if row["validation"] >= validation), None)


def before_first(rows: list[dict[str, Any]], key: str, records: list[dict[str, Any]]) -> float:
    """Return the cost of a path before the first of these rows."""
    place = records.index(rows[0])
    return float(records[place - 1][key]) if place else 0.0
