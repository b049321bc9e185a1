"""From one level to the next: what was moved, restarted or kept, and what it did to the loss."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from refmg.evaluation import Evaluation
from refmg.multilevel.level import Level
from refmg.multilevel.position import Position
from refmg.multilevel.settings import common
from refmg.network import Network
from refmg.optimization import StochasticSettings
from refmg_backends.backend import Array


@dataclass(frozen=True)
class SwitchPart:
    """What became of one part of the state.

    Attributes
    ----------
    name : str
        ``"opening"``, ``"stencils"``, ``"biases"``, ``"W"``, ``"mu"``, ``"momentum"`` or
        ``"batch-norm statistics"``.
    action : {"moved", "kept", "re-estimated", "restarted", "dropped", "none"}
        Of parameters: ``"kept"`` if they are the same to the last bit. ``"dropped"``: the new level has no
        use for it; ``"none"``: there was no such part.
    how : str
        In words.
    """

    name: str
    action: str
    how: str


@dataclass(frozen=True)
class StencilNorm:
    """Frobenius norm of one stencil after a switch, and of the old one at its time or last before it."""

    name: str
    before: float
    after: float

    @property
    def growth(self) -> float | None:
        """After over before; None where the old stencil is zero."""
        return self.after / self.before if self.before else None


@dataclass(frozen=True)
class Scores:
    """Loss and accuracy at one moment; None where there are no validation images."""

    loss: float
    accuracy: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None

    @classmethod
    def of(cls, train: Evaluation, validation: Evaluation | None) -> Scores:
        """Return the scores on both sets of images."""
        if validation is None:
            return cls(train.loss, train.accuracy)
        return cls(train.loss, train.accuracy, validation.loss, validation.accuracy)


@dataclass(frozen=True)
class LevelSwitch:
    """The report of one switch between levels.

    Attributes
    ----------
    number : int
        Of the level that begins.
    old, new : Level
        The two levels.
    position : Position
        From where a run goes on.
    parts : tuple of SwitchPart
        What became of every part of the state.
    norms : tuple of StencilNorm
        Of the opening, then of every new stencil.
    before, after : Scores
        On the old level's images before, on the new one's after.
    seconds : float
        That moving the network took, without the measurements.
    """

    number: int
    old: Level
    new: Level
    position: Position
    parts: tuple[SwitchPart, ...]
    norms: tuple[StencilNorm, ...]
    before: Scores
    after: Scores
    seconds: float

    @property
    def network(self) -> Network:
        """The moved network."""
        return self.position.network

    @property
    def largest_growth(self) -> float | None:
        """The largest growth of a stencil, the opening among them."""
        return max((n.growth for n in self.norms if n.growth is not None), default=None)

    def record(self) -> dict[str, Any]:
        """Return everything but the network, ready for JSON."""
        return {
            "level": self.number,
            "old": self.old.as_dict(),
            "new": self.new.as_dict(),
            "layers": self.network.architecture.layers,
            "parts": [asdict(part) for part in self.parts],
            "norms": [asdict(norm) | {"growth": norm.growth} for norm in self.norms],
            "largest_growth": self.largest_growth,
            "before": asdict(self.before),
            "after": asdict(self.after),
            "seconds": self.seconds,
        }


def stencil_norms(old: Network, new: Network) -> tuple[StencilNorm, ...]:
    """Return the norms of the opening and of every stencil, before and after.

    Examples
    --------
    >>> from refmg import Architecture, random_network, transfer_network
    >>> coarse = random_network(Architecture((8, 8)), seed=0)
    >>> [(n.name, round(n.growth)) for n in stencil_norms(coarse, transfer_network(coarse, (16, 16)))]
    [('opening', 7), ('stencil 0', 8), ('stencil 1', 8)]
    """

    def norms(network: Network, stencils: Array) -> np.ndarray:
        host = np.asarray(network.backend.to_numpy(stencils), dtype=np.float64)
        return np.linalg.norm(host.reshape(host.shape[0], -1), axis=1)

    before, after = norms(old, old.controls.stencils), norms(new, new.controls.stencils)
    opening = (float(np.linalg.norm(norms(n, n.controls.opening))) for n in (old, new))
    layers = [
        StencilNorm(f"stencil {k}", float(before[k * len(before) // len(after)]), float(a))
        for k, a in enumerate(after)
    ]
    return (StencilNorm("opening", *opening), *layers)


def switch_parts(old: Network, new: Network, levels: tuple[Level, Level]) -> tuple[SwitchPart, ...]:
    """Return what became of every part of the state."""
    _, level = levels
    space, time = _space(old, new, level), _time(old, new, level)
    both = ", ".join(filter(None, (space, time)))
    parameters = (
        ("opening", old.controls.opening, new.controls.opening, space),
        ("stencils", old.controls.stencils, new.controls.stencils, both),
        ("biases", old.controls.biases, new.controls.biases, time),  # no transfer changes them
        ("W", old.classifier.W, new.classifier.W, space),
        ("mu", old.classifier.mu, new.classifier.mu, space),
    )
    host = old.backend.to_numpy
    parts = []
    for name, a, b, how in parameters:
        kept = np.array_equal(host(a), host(b))
        parts.append(SwitchPart(name, *(("kept", "the same numbers") if kept else ("moved", how))))
    return (*parts, _momentum(*levels), SwitchPart("batch-norm statistics", "none", "none in this network"))


def _space(old: Network, new: Network, level: Level) -> str:
    a, b = old.architecture.shape, new.architecture.shape
    steps = "" if level.transfer_steps == 1 else f" in {level.transfer_steps} steps"
    return "" if a == b else f"from {a} to {b} cells by {level.transfer!r}{steps}"


def _time(old: Network, new: Network, level: Level) -> str:
    a, b = (n.architecture.control_grid.nodes for n in (old, new))
    middles = level.time_nodes == "cell-centred"
    how = f"by {level.time_interpolation!r}" if b > a else "by means" if middles else "by injection"
    return "" if a == b else f"from {a} to {b} {'cell-centred ' if middles else ''}nodes in time {how}"


def _momentum(before: Level, after: Level) -> SwitchPart:
    old, new = (common(level.settings) for level in (before, after))
    if not isinstance(old, StochasticSettings):
        then = f"; the averages of {new.method!r} begin" if isinstance(new, StochasticSettings) else ""
        return SwitchPart("momentum", "none", f"block coordinate descent has none{then}")
    if not isinstance(new, StochasticSettings):
        how = f"block coordinate descent has no use for the averages of {old.method!r}"
        return SwitchPart("momentum", "dropped", how)
    how = f"the averages of {new.method!r} begin anew on every level"
    return SwitchPart("momentum", "restarted", how)
