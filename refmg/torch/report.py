"""What was done to a model, layer by layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LayerRecord:
    """What became of one layer.

    Parameters
    ----------
    name, kind : str
        Such as ``"layer1.0.conv1"``, ``"Conv2d 3 x 3"``.
    action : str
        Such as ``"calibrated"`` or ``"kept: dilation 2"``.
    before, after : float, optional
        Of calibrated layers: squares that are not predicted over the squares of the source model's
        response about its mean, with the prior and with the new weights; 0 is perfect, 1 no better
        than the mean.
    growth : float, optional
        Frobenius norm of the weights, after over before.
    equations, unknowns : int, optional
        Of calibrated layers: of the least squares problem of each output.
    """

    name: str
    kind: str
    action: str
    before: float | None = None
    after: float | None = None
    growth: float | None = None
    equations: int | None = None
    unknowns: int | None = None

    def __str__(self) -> str:
        parts = [f"{self.name}  {self.kind}  {self.action}"]
        if self.before is not None:
            parts.append(f"residual {self.before:.4f} -> {self.after:.4f}")
        if self.growth is not None:
            parts.append(f"norm x {self.growth:.3f}")
        return ", ".join(parts)


@dataclass(frozen=True)
class ModelReport:
    """All layers, what was asked for, and how long it took.

    Parameters
    ----------
    layers : tuple of LayerRecord
        In the order of their first call; those that were not called come last.
    transfer, direction : str
    factor : tuple of int
    examples : int
        Images that were looked at.
    seconds : float

    Examples
    --------
    >>> layer = LayerRecord("stem", "Conv2d 3 x 3", "calibrated", before=0.25, after=0.125)
    >>> print(ModelReport((layer,), "calibrated", "coarse", (2, 2), 500, 1.25))
    stem  Conv2d 3 x 3  calibrated, residual 0.2500 -> 0.1250
    'calibrated' to coarse by (2, 2): 1 of 1 layers changed in 1.2 s, by 500 images without labels
    """

    layers: tuple[LayerRecord, ...]
    transfer: str
    direction: str
    factor: tuple[int, ...]
    examples: int
    seconds: float

    def __str__(self) -> str:
        changed = sum(not layer.action.startswith("kept") for layer in self.layers)
        last = (
            f"{self.transfer!r} to {self.direction} by {self.factor}: {changed} of {len(self.layers)} layers "
            f"changed in {self.seconds:.1f} s, by {self.examples} images without labels"
        )
        return "\n".join([*map(str, self.layers), last])

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self)
