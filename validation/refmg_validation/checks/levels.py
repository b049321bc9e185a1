"""Checks of a switch of level: what it says, it does, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from refmg import Classifier, Network, StencilMap, random_network
from refmg.multilevel import ImagePyramid, Level, moved_to
from refmg.multilevel.switch import stencil_norms, switch_parts
from refmg_validation.checks.control import difference
from refmg_validation.checks.control_problem import EPS, ControlProblem
from refmg_validation.checks.finding import Finding
from refmg_validation.conformance.reference.arithmetic import floats
from refmg_validation.conformance.reference.transfers import prolongation

COARSE, FINE, LAYERS = (4, 3), (8, 6), 2
PARTS = ("opening", "stencils", "biases", "W", "mu")
# By a switch in depth, and by one in space.
KEPT = (("opening", "W", "mu"), ("biases", "mu"))
Real = NDArray[np.float64]


def level_checks(seed: int) -> Iterator[Finding]:
    """Yield every finding of the group."""
    architecture = replace(
        ControlProblem("residual", "euler").architecture, layers=LAYERS, control_nodes=None
    )
    network = random_network(architecture, seed, "numpy", "float64")
    rng = np.random.default_rng([seed, 61])
    W, mu = network.classifier.W, network.classifier.mu
    network = replace(network, classifier=Classifier(rng.normal(size=W.shape), rng.normal(size=mu.shape)))
    images = ImagePyramid(rng.normal(size=(1, *FINE, 2)), np.arange(2))
    for name in ("linear", "average"):
        yield from finer(name, network, images)
    yield from deeper(network, images)


def finer(name: str, old: Network, images: ImagePyramid) -> Iterator[Finding]:
    """Check a switch to twice the resolution, against P written out and the map of stencils."""
    level = Level(FINE, LAYERS, transfer=name)
    new = moved_to(old, level, images)
    P = floats(prolongation(COARSE, name, 2, old.architecture.boundary))
    columns = np.moveaxis(old.classifier.W, 0, -1).reshape(P.shape[1], -1)
    moved = np.moveaxis(new.classifier.W, 0, -1).reshape(P.shape[0], -1)
    yield Finding(f"switch by {name}: W_h = P W_H", difference(moved, P @ columns), 16 * EPS, "16 eps")
    stencil_map = StencilMap(3, 2, name)
    bound = 9 * EPS * stencil_map.condition_number
    for part in ("opening", "stencils"):
        fine, coarse = getattr(new.controls, part), getattr(old.controls, part)
        flat = fine.reshape(-1, 1, 3, 3)
        back = np.concatenate([stencil_map.restrict(s[None]) for s in flat]).reshape(coarse.shape)
        yield Finding(
            f"switch by {name}: {part} restricted again", difference(back, coarse), bound, "9 eps cond"
        )
    yield _told(f"switch by {name}", old, new, level)
    growth = [n.growth or 0.0 for n in stencil_norms(old, new)]
    excess = max(growth) / stencil_map.amplification - 1
    label = f"switch by {name}: no stencil grows beyond the amplification"
    yield Finding(label, max(0.0, excess), 64 * EPS, "64 eps")


def deeper(old: Network, images: ImagePyramid) -> Iterator[Finding]:
    """Check a switch to twice the depth."""
    level = Level(COARSE, 2 * LAYERS)
    new = moved_to(old, level, images)
    pairs = [(getattr(new.controls, n)[::2], getattr(old.controls, n)) for n in ("stencils", "biases")]
    error = float(sum(np.sum(a != b) for a, b in pairs))
    yield Finding("switch of depth: every other control is an old one", error, 0.0, "the same bits")
    yield _told("switch of depth", old, new, level)


def _told(label: str, old: Network, new: Network, level: Level) -> Finding:
    """Count the parts of which the report says kept though they changed, or moved though they did not."""
    before = Level(old.architecture.shape, old.architecture.layers)
    told = {part.name: part.action for part in switch_parts(old, new, (before, level))}
    expected = dict.fromkeys(PARTS, "moved") | dict.fromkeys(KEPT[level.shape != before.shape], "kept")
    same = {name: "kept" if np.array_equal(_part(old, name), _part(new, name)) else "moved" for name in PARTS}
    wrong = sum(not told[name] == expected[name] == same[name] for name in PARTS)
    return Finding(f"{label}: kept is what is said to be kept", float(wrong), 0.0, "parts counted")


def _part(network: Network, name: str) -> Real:
    return np.asarray(getattr(network.classifier if name in ("W", "mu") else network.controls, name))
