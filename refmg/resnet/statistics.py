"""Batch-norm statistics of other images than those of training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import Any

from refmg.distributed import share_of
from refmg.resnet.architecture import BlockSpec, ConvolutionSpec
from refmg.resnet.batch_norm import batch_norm
from refmg.resnet.batch_part import part_of_batch
from refmg.resnet.batch_sums import BatchSums
from refmg.resnet.network import Arrays, ResNet
from refmg.resnet.passes import EvaluationRun
from refmg_backends import RefmgError
from refmg_backends.backend import Array

Batches = list[Array]


def reestimate_statistics(net: ResNet, batches: Iterable[Array]) -> ResNet:
    """Return the network with the statistics of these images; nothing else changes.

    Parameters
    ----------
    net : ResNet
    batches : iterable of array or SharedExamples, shape (in_channels, n_1, n_2, m)
        Images on the network's own grid, host or backend, without labels; gone through once. Memory grows
        with all of them together: take some hundred. Of batches that ranks share each looks at its own part,
        and all get the statistics of all.

    Returns
    -------
    ResNet

    Raises
    ------
    RefmgError
        If there is no image, they do not fit, some are shared and others not, a batch has fewer images than
        ranks whose sums are plain, a layer has a single number a channel, or what comes out is not finite.

    Notes
    -----
    Running mean and (unbiased) variance become those of one pass in training mode with all images in a
    single batch: each layer normalises by the moments of all images, whatever the batches. So layers are
    taken one after the other, with the features of all batches kept between them. Training normalises by
    the biased variance and stores the unbiased one, and so does this.

    Examples
    --------
    >>> import numpy as np
    >>> from refmg.resnet import ResNetArchitecture, random_resnet
    >>> net = random_resnet(ResNetArchitecture((8, 8), blocks=(1,), widths=(2,)), 0, backend="numpy")
    >>> images = np.random.default_rng(0).standard_normal((3, 8, 8, 20)).astype("float32")
    >>> one, two = (reestimate_statistics(net, x) for x in ([images], [images[..., :7], images[..., 7:]]))
    >>> all(np.allclose(one.statistics[name], two.statistics[name]) for name in net.statistics)
    True
    """
    place, given = net.backend, list(batches)
    if not given:
        raise RefmgError("found no image; expected one batch or more")
    share = share_of(given[0])
    if any(share_of(x) != share for x in given):
        raise RefmgError("found batches that ranks share and others; expected all alike")
    parts = [
        part_of_batch(place, x if share else place.asarray(x, dtype=net.dtype), net.dtype) for x in given
    ]
    if share is not None and any(part.sums.repeated for part in parts):
        raise RefmgError(
            f"found {min(x.shape[-1] for x in given)} examples of a batch for {share.communicator.size} "
            "ranks; expected at least one a rank: take larger batches, or start fewer ranks"
        )
    sums = replace(parts[0].sums, examples=sum(part.sums.examples for part in parts))
    run = Reestimation(net, sums)
    run([net.flat(part.images) for part in parts])
    _refuse_not_finite(place.xp, run.statistics)
    return net.with_arrays(statistics=run.statistics)


def _refuse_not_finite(xp: Any, statistics: Arrays) -> None:
    """Refuse statistics that are infinite or no numbers; one number is read from the device."""
    finite = {name: xp.all(xp.isfinite(found)) for name, found in statistics.items()}
    if not bool(reduce(xp.logical_and, finite.values())):
        name = next(name for name, found in finite.items() if not bool(found))
        raise RefmgError(
            f"found {name} that is not finite; expected images and parameters of finite numbers, so "
            "scaled that their squares can be summed up"
        )


class Reestimation:
    """Takes features of all batches through a network, each norm by the moments of all together.

    Parameters
    ----------
    net : ResNet
    sums : BatchSums
        Of all batches together, which ranks may share.
    """

    def __init__(self, net: ResNet, sums: BatchSums) -> None:
        self.net, self.run, self.backend, self.sums = net, EvaluationRun(net), net.backend, sums
        self.statistics: Arrays = dict(net.statistics)
        self.features: Batches = []

    def __call__(self, images: Batches) -> None:
        """Take flat images through all layers."""
        self.features = images
        self.opening()
        for block in self.net.architecture.every_block():
            self.block(block)

    def opening(self) -> None:
        """Take the features through opening and maximum."""
        self.features = self.pooled(self.unit(self.net.architecture.opening, self.features))

    def pooled(self, features: Batches) -> Batches:
        """Return the maxima that follow the opening, if there are."""
        return [self.run.pooled(Y) for Y in features]

    def block(self, block: BlockSpec) -> None:
        """Take the features through a block."""
        base: Batches = self.features
        if block.shortcut is not None:
            base = self.unit(block.shortcut, self.features, rectify=False)
        inside = self.unit(block.first, self.features)
        self.features = self.unit(block.second, inside, base)

    def unit(
        self, spec: ConvolutionSpec, features: Batches, base: Batches | None = None, rectify: bool = True
    ) -> Batches:
        """Return what convolution and norm give for every batch, and note the statistics."""
        return self.norm(spec, [self.run.response(spec, X) for X in features], base, rectify)

    def norm(
        self, spec: ConvolutionSpec, responses: Batches, base: Batches | None = None, rectify: bool = True
    ) -> Batches:
        """Return the normalised responses, and note the statistics."""
        count = self.sums.numbers(responses[0])
        if count < 2:
            raise RefmgError(
                f"found one number a channel in {spec.norm}; expected more images, or larger ones"
            )
        mean, variance = self.sums.moments(responses)
        names = f"{spec.norm}.running_mean", f"{spec.norm}.running_var"
        self.statistics.update(zip(names, (mean, variance * (count / (count - 1))), strict=True))
        gamma, beta = (self.net.parameters[f"{spec.norm}.{part}"] for part in ("weight", "bias"))
        return [
            batch_norm(self.backend, A, gamma, beta, (mean, variance), under, rectify).output
            for A, under in zip(responses, base or [None] * len(responses), strict=True)
        ]
