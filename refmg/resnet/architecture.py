"""What a residual network with batch normalisation is before it has parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

from refmg.grid import Grid
from refmg.optimization.numbers import check_whole, whole_tuple
from refmg.transfer import Shape
from refmg_backends import BOUNDARIES, Geometry, RefmgError, one_of

POOLS = ("max", "none")


@dataclass(frozen=True)
class ConvolutionSpec:
    """One convolution of a ResNet, and the batch norm that follows it.

    Parameters
    ----------
    name, norm : str
        PyTorch's names of the convolution and of its batch norm.
    c_in, c_out : int
        Channels.
    geometry : Geometry
        Input grid, width, boundary and stride.
    """

    name: str
    norm: str
    c_in: int
    c_out: int
    geometry: Geometry

    @property
    def stencil_shape(self) -> Shape:
        """``(C_out, C_in, k_1, k_2)``."""
        return (self.c_out, self.c_in, *self.geometry.width)


@dataclass(frozen=True)
class BlockSpec:
    """A basic block: ``relu(bn2(conv2(relu(bn1(conv1 y)))) + shortcut y)``.

    Parameters
    ----------
    name : str
        Such as ``"layer2.0"``.
    first, second : ConvolutionSpec
    shortcut : ConvolutionSpec or None
        The 1 x 1 convolution beside them; None where the shortcut is the identity.
    """

    name: str
    first: ConvolutionSpec
    second: ConvolutionSpec
    shortcut: ConvolutionSpec | None


@dataclass(frozen=True)
class ResNetArchitecture:
    """Sizes of a ResNet of basic blocks: ResNet-34 of the paper by default.

    Parameters
    ----------
    shape : tuple of int
        Cells of the images, ``(n_1, n_2)``.
    classes, in_channels : int
        Classes, and channels of the images.
    blocks, widths : tuple of int
        Basic blocks of each stage, and their channels. Each stage after the first begins with stride 2.
    boundary : {"zero", "periodic", "reflect"}
        Of every convolution.
    opening_stride : int
        Of the opening 3 x 3 convolution.
    opening_pool : {"max", "none"}
        Whether a 3 x 3 maximum of stride 2 follows the opening.

    Raises
    ------
    RefmgError
        If a size is not positive, numbers of stages differ, or a name is unknown.

    Notes
    -----
    The paper (section 4) takes "ResNet-34 architecture as described by He et al. (2016a) with two
    differences": an opening of 3 x 3 x 64 in place of 7 x 7 x 64, and no fully connected layer. So stride
    2 of the opening and the maximum after it are as He et al. have them: features of 1/4 of the image's
    resolution enter the first stage. Small images want ``opening_stride=1, opening_pool="none"``. The
    average over all cells goes into the softmax classifier, a linear map of ``widths[-1]`` channels.

    Examples
    --------
    >>> paper = ResNetArchitecture((224, 224))
    >>> paper.depth, paper.parameter_count
    (34, 21282122)
    >>> [stage[0].first.geometry.out_shape for stage in paper.stages]
    [(56, 56), (28, 28), (14, 14), (7, 7)]
    """

    shape: Shape
    classes: int = 10
    in_channels: int = 3
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    boundary: str = "zero"
    opening_stride: int = 2
    opening_pool: str = "max"

    def __post_init__(self) -> None:
        """Refuse what is not a network."""
        for name in ("shape", "blocks", "widths"):
            object.__setattr__(self, name, whole_tuple(name, getattr(self, name)))
        if len(self.shape) != 2:
            raise RefmgError(f"found a grid of {self.shape} cells; expected two axes, (n_1, n_2)")
        if len(self.blocks) != len(self.widths) or not self.blocks:
            raise RefmgError(
                f"found blocks {self.blocks} and widths {self.widths}; expected one each a stage"
            )
        for name in ("blocks", "widths"):
            if min(getattr(self, name)) < 1:
                raise RefmgError(f"found {name} = {getattr(self, name)}; expected 1 or more")
        check_whole(self, ("in_channels", "opening_stride"), 1)
        check_whole(self, ("classes",), 2)
        for what, name, known in (
            ("boundary", self.boundary, BOUNDARIES),
            ("opening_pool", self.opening_pool, POOLS),
        ):
            if name not in known:
                raise RefmgError(one_of(what, name, known))
        object.__setattr__(self, "shape", Grid(self.shape).shape)

    def scaled(self, width: float = 1.0, depth: float = 1.0) -> ResNetArchitecture:
        """Return the network with channels and blocks multiplied, each rounded to 1 at least.

        Raises
        ------
        RefmgError
            For a factor that is not positive.

        Examples
        --------
        >>> small = ResNetArchitecture((64, 64)).scaled(width=1 / 8, depth=1 / 3)
        >>> small.widths, small.blocks
        ((8, 16, 32, 64), (1, 1, 2, 1))
        """
        if not min(width, depth) > 0:
            raise RefmgError(f"found the factors {width} and {depth}; expected positive ones")
        widths = tuple(max(1, round(width * c)) for c in self.widths)
        return replace(self, widths=widths, blocks=tuple(max(1, round(depth * b)) for b in self.blocks))

    def on(self, shape: Shape) -> ResNetArchitecture:
        """Return the same network on another grid."""
        return replace(self, shape=tuple(shape))

    def _convolution(
        self, names: tuple[str, str], channels: tuple[int, int], shape: Shape, width: int, stride: int
    ) -> ConvolutionSpec:
        geometry = Geometry(shape, (width, width), self.boundary, (stride, stride))
        return ConvolutionSpec(*names, *channels, geometry)

    @cached_property
    def opening(self) -> ConvolutionSpec:
        """The first convolution."""
        channels = self.in_channels, self.widths[0]
        return self._convolution(("conv1", "bn1"), channels, self.shape, 3, self.opening_stride)

    @cached_property
    def pool(self) -> Geometry | None:
        """Window of the maximum after the opening; None without one."""
        if self.opening_pool == "none":
            return None
        return Geometry(self.opening.geometry.out_shape, (3, 3), "zero", (2, 2))

    @cached_property
    def stages(self) -> tuple[tuple[BlockSpec, ...], ...]:
        """All basic blocks, stage by stage."""
        shape = self.opening.geometry.out_shape if self.pool is None else self.pool.out_shape
        channels, stages = self.widths[0], []
        for i, (count, width) in enumerate(zip(self.blocks, self.widths, strict=True)):
            stage = []
            for j in range(count):
                stride = 2 if i and not j else 1
                stage.append(self._block(f"layer{i + 1}.{j}", (channels, width), shape, stride))
                channels, shape = width, stage[-1].second.geometry.shape
            stages.append(tuple(stage))
        return tuple(stages)

    def _block(self, name: str, channels: tuple[int, int], shape: Shape, stride: int) -> BlockSpec:
        c_in, c_out = channels
        first = self._convolution((f"{name}.conv1", f"{name}.bn1"), channels, shape, 3, stride)
        inner = first.geometry.out_shape
        second = self._convolution((f"{name}.conv2", f"{name}.bn2"), (c_out, c_out), inner, 3, 1)
        names = f"{name}.downsample.0", f"{name}.downsample.1"
        same = stride == 1 and c_in == c_out
        return BlockSpec(
            name, first, second, None if same else self._convolution(names, channels, shape, 1, stride)
        )

    def every_block(self) -> Iterator[BlockSpec]:
        """Yield all blocks in the order in which they run."""
        for stage in self.stages:
            yield from stage

    def convolutions(self) -> Iterator[ConvolutionSpec]:
        """Yield all convolutions in PyTorch's order."""
        yield self.opening
        for block in self.every_block():
            yield from (block.first, block.second)
            if block.shortcut is not None:
                yield block.shortcut

    @cached_property
    def parameter_shapes(self) -> dict[str, Shape]:
        """Shapes of all parameters by PyTorch's names, in its order."""
        shapes: dict[str, Shape] = {}
        for c in self.convolutions():
            # In a state dict of PyTorch each block lists its convolutions with their norms in turn.
            shapes[f"{c.name}.weight"] = c.stencil_shape
            shapes |= {f"{c.norm}.{part}": (c.c_out,) for part in ("weight", "bias")}
        return shapes | {"fc.weight": (self.classes, self.widths[-1]), "fc.bias": (self.classes,)}

    @cached_property
    def statistic_shapes(self) -> dict[str, Shape]:
        """Shapes of the running means and variances by PyTorch's names."""
        parts = "running_mean", "running_var"
        return {f"{c.norm}.{part}": (c.c_out,) for c in self.convolutions() for part in parts}

    @property
    def depth(self) -> int:
        """Layers with weights on the longest path, the classifier among them."""
        return 2 + 2 * sum(self.blocks)

    @property
    def parameter_count(self) -> int:
        """How many numbers are trained."""
        from math import prod

        return sum(prod(shape) for shape in self.parameter_shapes.values())

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ResNetArchitecture:
        """Return the network that :meth:`as_dict` described.

        Raises
        ------
        RefmgError
            If an entry is missing or unknown.
        """
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise RefmgError(f"found the settings {sorted(values)}; expected exactly {sorted(names)}")
        return cls(**values)
