"""Stencils that were not moved between resolutions, or moved the other way."""

from __future__ import annotations

from functools import partial

import numpy as np

from refmg_validation.conformance.mistakes.problem import Attempt, Attempts, Outputs, Problem
from refmg_validation.conformance.reference.levels import at_nodes

OTHER = {"restrict": "prolong", "prolong": "restrict"}


def unmoved(p: Problem) -> Attempts:
    """Yield the stencils as they were."""
    told = "the stencil as it was: it has to be moved to the other grid"
    if set(p.case.expected) == {"stencil"} and p.has("stencil"):
        yield Attempt("unchanged stencil", told, lambda: {"stencil": p.inputs["stencil"]})
    if p.case.function == "switch_level":
        yield Attempt("unchanged stencil", told, partial(_switched, p, None))


def other_way(p: Problem) -> Attempts:
    """Yield fine to coarse for coarse to fine, or the reverse."""
    name, _, way = p.case.function.rpartition("_")
    told = "stencils were moved the other way: {} is asked for"
    if p.case.function in ("restrict_stencil", "prolong_stencil"):
        way, _, name = p.case.function.partition("_")
        found = partial(p.reference, f"{OTHER[way]}_{name}", **p.inputs)
        yield Attempt("wrong direction", told.format(way), found)
    elif way in OTHER and name in ("power_law", "spectrum"):
        found = partial(p.reference, f"{name}_{OTHER[way]}", **p.inputs)
        yield Attempt("wrong direction", told.format(way), found)
    elif p.case.function == "switch_level":
        yield Attempt("wrong direction", told.format("prolong"), partial(_switched, p, "restrict_stencil"))


def _switched(p: Problem, function: str | None) -> Outputs:
    """Return what a switch gives that moves stencils by another function, or not at all."""
    from refmg_validation.adapters.backends import Adapter

    cells = p.inputs["W"].shape[1:-1]
    factor = np.array([int(n) // c for n, c in zip(p.inputs["shape"], cells, strict=True)])
    move = getattr(Adapter("numpy"), function) if function else None

    def moved(s: np.ndarray) -> np.ndarray:
        return np.asarray(move(stencil=s, transfer=p.inputs["transfer"], factor=factor)) if move else s

    in_space = np.stack([moved(s) for s in p.inputs["stencils"]])
    nodes = int(p.inputs["nodes"])
    return p.case.expected | {
        "opening": moved(p.inputs["opening"]),
        "stencils": at_nodes(in_space, nodes, "linear"),
    }
