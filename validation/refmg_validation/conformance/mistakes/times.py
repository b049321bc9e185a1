"""Mistakes with time: nodes at the wrong end, steps of another length, other nodes after prolongation."""

from __future__ import annotations

from functools import partial

import numpy as np

from refmg_validation.conformance.mistakes.problem import Arrays, Attempt, Attempts, Outputs, Problem

IN_TIME = ("stencils", "biases")
LEFT = "parameters belong to the left end points t_k = k dt"


def wrong_node(p: Problem) -> Attempts:
    """Yield right end points, middles or the node before, where left end points are meant."""
    if not p.has("stencils", "steps"):
        return
    eye = np.eye(len(p.inputs["stencils"]))
    after, before = np.vstack([eye[1:], eye[-1:]]), np.vstack([eye[:1], eye[:-1]])
    for told, S in (
        (f"step k takes the parameters of node k + 1: {LEFT}", after),
        (f"step k takes the parameters of node k - 1: {LEFT}", before),
        (f"step k takes the mean of nodes k and k + 1: {LEFT}", (eye + after) / 2),
        (f"the nodes are taken in reverse order: {LEFT}", eye[::-1]),
    ):
        yield Attempt("wrong time node", told, partial(_through, p, S))
        if set(IN_TIME) & set(p.case.expected):
            told = told.replace("takes", "gives its gradient to")
            yield Attempt("wrong time node", told, partial(p.expected_but, IN_TIME, partial(_combined, S.T)))


def wrong_moment(p: Problem) -> Attempts:
    """Yield parameters taken at the end or in the middle of each step, whatever the nodes are."""
    if not p.has("stencils", "steps"):
        return
    steps, old = int(p.inputs["steps"]), len(p.inputs["stencils"])
    for late, told in ((1.0, "at its end"), (0.5, "in its middle")):
        # Nodes at all times that an integrator asks for: ends and middles of steps, each read too late.
        place = (np.arange(2 * steps) / 2 + late) / steps * old
        found = partial(_through, p, _interpolation(place, old, True))
        yield Attempt("wrong time node", f"each step takes its parameters {told}: {LEFT}", found)


def _through(p: Problem, S: Arrays) -> Outputs:
    """Return the outputs with nodes combined by S; gradients go back through its transpose."""
    # What a step returns are controls, not their gradient.
    outputs = () if p.case.function == "control_step" else IN_TIME
    return p.with_changed(p.where(IN_TIME), partial(_combined, S), outputs, partial(_combined, S.T))


def _combined(S: Arrays, values: Arrays) -> Arrays:
    return np.tensordot(S, values, axes=1)


def wrong_step(p: Problem) -> Attempts:
    """Yield steps of length 1, or nodes at both ends of the interval."""
    if not p.has("final_time", "stencils"):
        return
    count = int(p.inputs.get("steps", len(p.inputs["stencils"])))
    ways = {f"dt = 1; it is T / {count}": float(count)}
    if count > 1:
        ways[f"dt = T / {count - 1}; it is T / {count}"] = p.number("final_time") * count / (count - 1)
    for told, final_time in ways.items():
        yield Attempt("wrong time step", told, partial(p.reference, final_time=final_time))


def wrong_new_node(p: Problem) -> Attempts:
    """Yield old and new nodes in other places of the interval."""
    if p.case.function != "prolong_in_time":
        return
    for other in ("linear", "cubic", "constant"):
        if other != p.inputs["interpolation"]:
            told = f"as with the interpolation {other!r}; {p.inputs['interpolation']!r} is asked for"
            yield Attempt("wrong interpolation", told, partial(p.reference, interpolation=other))
    old, new = len(p.inputs["stencils"]), int(p.inputs["nodes"])
    k, ratio = np.arange(new), new / old
    places = {
        "as with nodes in the middle of their intervals; they are at the left ends, j T / M": (k + 0.5)
        / ratio
        - 0.5,
        "as with a last node at T; nodes are at j T / M": k * (old - 1) / max(new - 1, 1),
        "as with old nodes to the right; nodes are at the left ends": (k + 1) / ratio - 1,
        "as with the value of the nearest node": np.rint(k / ratio),
    }
    for told, place in places.items():
        for inside in (True, False):
            told_end = told if inside else f"{told}; extrapolated beyond the last node, where it is constant"
            yield Attempt("wrong time node", told_end, partial(_at, p, place, inside))
    beyond = "extrapolated beyond the last node, where values are constant"
    yield Attempt("wrong time node", beyond, partial(_at, p, k / ratio, False))


def _at(p: Problem, place: Arrays, inside: bool) -> Outputs:
    """Return values linearly interpolated at places counted in old nodes."""
    S = _interpolation(place, len(p.inputs["stencils"]), inside)
    return {name: _combined(S, p.inputs[name]) for name in IN_TIME}


def _interpolation(place: Arrays, old: int, inside: bool) -> Arrays:
    """Return the matrix from nodes to values at places, constant or extrapolated beyond the last."""
    x = np.clip(place, 0, old - 1) if inside else place
    j = np.clip(np.floor(x), 0, max(old - 2, 0)).astype(int)
    S = np.zeros((len(x), old))
    S[np.arange(len(x)), j] += 1 - (x - j)
    S[np.arange(len(x)), np.minimum(j + 1, old - 1)] += x - j
    return S
