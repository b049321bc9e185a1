"""What a network is before it has parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from refmg.activation import named_activation
from refmg.dynamics import LAYERS
from refmg.grid import Grid
from refmg.integrators import named_integrator
from refmg.time_grid import ControlGrid
from refmg.transfer import Shape
from refmg_backends import BOUNDARIES, RefmgError, one_of

# Files written before these existed lack them; the defaults are what those networks were.
ADDED_SINCE_FIRST = {"layer", "integrator", "control_nodes", "interpolation"}
WORDS = {"Shape": "whole numbers", "int": "a whole number", "int | None": "a whole number or nothing"}
WORDS |= {"float": "a finite number", "str": "a name"}
LARGEST = 1e100  # far beyond any network, and no quotient of such numbers overflows


@dataclass(frozen=True)
class Architecture:
    """Sizes and constants of a network: opening ``L``, N time steps, classifier.

    Parameters
    ----------
    shape : tuple of int
        Cells of the images.
    channels : int
        Channels C of every layer ("identical layers" in the paper).
    layers : int
        Number N of time steps.
    final_time : float
        T; the step is ``dt = T / N``.
    width : int
        Taps per axis of each layer's stencil, odd.
    opening_width : int
        Taps per axis of the learned opening ``L``, odd.
    boundary : {"periodic", "zero", "reflect"}
        Of every convolution.
    activation : str
        See :func:`refmg.named_activation`.
    in_channels : int
        Channels of the images.
    classes : int
        Number of classes.
    layer : {"residual", "symmetric", "hamiltonian"}
        The layer function F; the Hamiltonian pair needs an even number of channels.
    integrator : {"euler", "rk4", "leapfrog", "verlet"}
        See :func:`refmg.integrators.named_integrator`.
    control_nodes : int, optional
        Number M of controls in time; N by default.
    interpolation : {"linear", "constant"}
        Of the controls between their nodes, see :class:`refmg.ControlGrid`.

    Raises
    ------
    RefmgError
        If a size is not positive, a width is even, a name is unknown, or layer and integrator do not
        fit.

    Examples
    --------
    >>> a = Architecture((28, 28), layers=4, final_time=2.0)
    >>> a.dt, a.grid.cells, a.stencil_shape
    (0.5, 784, (8, 8, 3, 3))
    """

    shape: Shape
    channels: int = 8
    layers: int = 2
    final_time: float = 1.0
    width: int = 3
    opening_width: int = 3
    boundary: str = "periodic"
    activation: str = "tanh"
    in_channels: int = 1
    classes: int = 10
    layer: str = "residual"
    integrator: str = "euler"
    control_nodes: int | None = None
    interpolation: str = "linear"

    def __post_init__(self) -> None:
        """Refuse what is not a network."""
        counts = ("channels", "layers", "width", "opening_width", "in_channels", "classes")
        for name in counts:
            if getattr(self, name) < 1:
                raise RefmgError(f"found {name} = {getattr(self, name)}; expected 1 or more")
        if self.width % 2 == 0 or self.opening_width % 2 == 0:
            found = (self.width, self.opening_width)
            raise RefmgError(f"found stencils of width {found}; expected odd widths, such as 3")
        if not self.final_time > 0:
            raise RefmgError(f"found final_time = {self.final_time}; expected a positive time")
        if self.boundary not in BOUNDARIES:
            raise RefmgError(one_of("boundary", self.boundary, BOUNDARIES))
        object.__setattr__(self, "shape", Grid(tuple(int(n) for n in self.shape)).shape)
        named_activation(self.activation)
        self._check_dynamics()

    def _check_dynamics(self) -> None:
        if self.layer not in LAYERS:
            raise RefmgError(one_of("layer", self.layer, LAYERS))
        named_integrator(self.integrator)
        _ = self.control_grid
        if self.layer == "hamiltonian" and self.channels % 2:
            raise RefmgError(f"found {self.channels} channels; expected an even number for the pair (y, z)")
        if self.integrator == "verlet" and self.layer != "hamiltonian":
            raise RefmgError(
                f"found the integrator 'verlet' with the layer {self.layer!r}; expected the layer "
                "'hamiltonian', whose two halves it steps in turn, or another integrator"
            )

    @property
    def control_grid(self) -> ControlGrid:
        """Time grid of the controls."""
        nodes = self.layers if self.control_nodes is None else self.control_nodes
        return ControlGrid(nodes, self.interpolation)

    @property
    def control_dt(self) -> float:
        """Distance of the control nodes, ``T / M``."""
        return self.final_time / self.control_grid.nodes

    @property
    def grid(self) -> Grid:
        """The grid of the images."""
        return Grid(self.shape)

    @property
    def dt(self) -> float:
        """Time step ``T / N``."""
        return self.final_time / self.layers

    @property
    def opening_shape(self) -> Shape:
        """``(C, C_in, k_1, .., k_d)`` of the opening."""
        return (self.channels, self.in_channels, *(self.opening_width,) * len(self.shape))

    @property
    def stencil_shape(self) -> Shape:
        """``(C, C, k_1, .., k_d)`` of each layer; ``(C, C/2, k_1, .., k_d)`` of the Hamiltonian pair."""
        inputs = self.channels // 2 if self.layer == "hamiltonian" else self.channels
        return (self.channels, inputs, *(self.width,) * len(self.shape))

    @property
    def classifier_shape(self) -> Shape:
        """``(C, n_1, .., n_d, classes)`` of the classifier's weights."""
        return (self.channels, *self.shape, self.classes)

    def on(self, shape: Shape) -> Architecture:
        """Return the same network on another grid."""
        return replace(self, shape=tuple(shape))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self) | {"shape": list(self.shape)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Architecture:
        """Return the network that :meth:`as_dict` described.

        Raises
        ------
        RefmgError
            If an entry is missing, unknown or of another type.
        """
        names = {field.name for field in fields(cls)}
        if not names - ADDED_SINCE_FIRST <= set(values) <= names:
            raise RefmgError(f"found the settings {sorted(values)}; expected exactly {sorted(names)}")
        kinds = {field.name: str(field.type) for field in fields(cls)}
        for name, value in values.items():
            if not _fits(kinds[name], value):
                raise RefmgError(f"found {name} = {str(value)[:80]}; expected {WORDS[kinds[name]]}")
        return cls(**{**values, "shape": tuple(values["shape"])})


def _fits(kind: str, value: Any) -> bool:
    """Say whether a value from JSON is of the kind that a field has."""
    if kind == "Shape":
        return isinstance(value, list | tuple) and all(_fits("int", n) for n in value)
    if kind == "str":
        return isinstance(value, str)
    if value is None:
        return kind == "int | None"
    number = isinstance(value, int | float if kind == "float" else int) and not isinstance(value, bool)
    return number and abs(value) < LARGEST
