"""Operations and bytes of a ResNet, counted from its architecture."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from refmg.resnet import ResNetArchitecture
from refmg.resnet.architecture import ConvolutionSpec

# The gradient by the features and that by the stencil cost as much as the convolution itself.
PASSES = 3


@dataclass(frozen=True)
class LayerCost:
    """What one convolution with its batch norm and rectifier costs, an image and pass forward.

    Attributes
    ----------
    name : str
    flops : float
        Of the direct algorithm, a multiplication and an addition as two.
    moved : float
        Numbers that must be read or written once: input, output of the convolution, and output of batch norm
        and rectifier, which need the statistics of the whole batch first. Those of the stencil come on top,
        once a batch.
    weights : float
        Numbers of the stencil.
    passes : int
        Of a training step: forward, by the stencil, and by the features where it is wanted.
    """

    name: str
    flops: float
    moved: float
    weights: float
    passes: int = PASSES


def layer_costs(architecture: ResNetArchitecture) -> list[LayerCost]:
    """Return the cost of every convolution, in the order of the network.

    Examples
    --------
    >>> costs = layer_costs(ResNetArchitecture((224, 224)))
    >>> costs[0].name, f"{costs[0].flops:.4g}", f"{image_flops(ResNetArchitecture((224, 224))):.4g}"
    ('conv1', '4.335e+07', '7.134e+09')
    """
    # Nobody asks for the gradient by the images, which the first one would give.
    return [_cost(spec, PASSES - (i == 0)) for i, spec in enumerate(architecture.convolutions())]


def _cost(spec: ConvolutionSpec, passes: int) -> LayerCost:
    g, weights = spec.geometry, prod(spec.stencil_shape)
    inside, outside = spec.c_in * prod(g.shape), spec.c_out * prod(g.out_shape)
    # The convolution writes its output, the norm reads it twice (moments made while it is written would save
    # a pass) and writes its own.
    return LayerCost(spec.name, 2.0 * weights * prod(g.out_shape), inside + 4.0 * outside, weights, passes)


def image_flops(architecture: ResNetArchitecture) -> float:
    """Return the operations of one image's pass forward."""
    return sum(cost.flops for cost in layer_costs(architecture))


def step_flops(architecture: ResNetArchitecture) -> float:
    """Return the operations of one image's share of a training step.

    Examples
    --------
    >>> a = ResNetArchitecture((224, 224))
    >>> step_flops(a) == 3 * image_flops(a) - layer_costs(a)[0].flops
    True
    """
    return sum(cost.passes * cost.flops for cost in layer_costs(architecture))


def predicted_seconds(
    architecture: ResNetArchitecture, batch: int, limits: dict[str, float], itemsize: int = 4
) -> float:
    """Return the least time of a training step by the direct algorithm, with norms in passes of their own.

    Each layer is at the limit. Other algorithms need fewer multiplications, and can be faster.

    Parameters
    ----------
    architecture : ResNetArchitecture
    batch : int
        Images.
    limits : dict
        ``"GF/s"`` and ``"GB/s"``, of :func:`refmg_validation.bench.limits.measure_limits`.
    itemsize : int
        Bytes of a number.

    Examples
    --------
    >>> f"{predicted_seconds(ResNetArchitecture((224, 224)), 64, {'GF/s': 50_000, 'GB/s': 4000}):.3f}"
    '0.028'
    """
    flops_rate, bytes_rate = 1e9 * limits["GF/s"], 1e9 * limits["GB/s"]
    return sum(
        cost.passes
        * max(batch * cost.flops / flops_rate, itemsize * (batch * cost.moved + cost.weights) / bytes_rate)
        for cost in layer_costs(architecture)
    )
