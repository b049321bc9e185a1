"""A ResNet fitted layer by layer to its own responses on another grid: unlabelled images, no training."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from refmg.calibration.classifier_fit import fit_classifier
from refmg.calibration.few_images import FitSize, warn_of_few_images
from refmg.resnet.architecture import ConvolutionSpec
from refmg.resnet.batch_sums import BatchSums
from refmg.resnet.network import ResNet
from refmg.resnet.passes import EvaluationRun, classify
from refmg.resnet.pooling import average_pool
from refmg.resnet.response_fit import LayerFit, ResponseFit
from refmg.resnet.statistics import Batches, Reestimation
from refmg.resnet.switch import ResNetTransferOptions


class CalibrationRun(Reestimation):
    """Takes features of both networks, in pairs (new, old), through all layers, and fits each on the way.

    Parameters
    ----------
    old : ResNet
    new : ResNet
        On the other grid; its parameters are the prior.
    options : ResNetTransferOptions
    examples : int
        In all.
    """

    def __init__(self, old: ResNet, new: ResNet, options: ResNetTransferOptions, examples: int) -> None:
        super().__init__(new, BatchSums(new.backend, examples))
        self.old, self.old_run, self.options = old, EvaluationRun(old), options
        self.old_specs = {spec.name: spec for spec in old.architecture.convolutions()}
        self.fits: list[LayerFit] = []

    def pooled(self, features: Batches) -> Batches:
        """Return the maxima that follow both openings, if there are."""
        return [(self.run.pooled(Y), self.old_run.pooled(Z)) for Y, Z in features]

    def unit(
        self, spec: ConvolutionSpec, features: Batches, base: Batches | None = None, rectify: bool = True
    ) -> Batches:
        """Fit a convolution, and return what it and its norm give, beside what the old ones give."""
        old, unders = self.old_specs[spec.name], base or [(None, None)] * len(features)
        answers = [self.old_run.response(old, Z) for _, Z in features]
        self._fit(spec, old, zip((Y for Y, _ in features), answers, strict=True))
        under = None if base is None else [Y for Y, _ in base]
        outputs = super().unit(spec, [Y for Y, _ in features], under, rectify)
        old_outputs = (
            self.old_run.norm(old, A, Z, rectify) for A, (_, Z) in zip(answers, unders, strict=True)
        )
        return list(zip(outputs, old_outputs, strict=True))

    def norm(
        self, spec: ConvolutionSpec, responses: Batches, base: Batches | None = None, rectify: bool = True
    ) -> Batches:
        """Return the normalised responses, by new statistics or by those that were."""
        if self.options.batch_norm:
            return super().norm(spec, responses, base, rectify)
        pairs = zip(responses, base or [None] * len(responses), strict=True)
        return [self.run.norm(spec, A, under, rectify) for A, under in pairs]

    def _fit(self, new: ConvolutionSpec, old: ConvolutionSpec, pairs: Any) -> None:
        fit = ResponseFit(
            self.backend, new, old, self.net.dtype, self.options.batch_norm, self.options.smoothness
        )
        for X, answer in pairs:
            fit.add(X, answer)
        name = f"{new.name}.weight"
        stencil, found = fit.solve(self.backend.to_numpy(self.net.parameters[name]), self.options.ridge)
        self.fits.append(found)
        self._take({name: stencil})

    def _take(self, arrays: dict[str, np.ndarray]) -> None:
        moved = {
            k: self.backend.asarray(np.ascontiguousarray(v), dtype=self.net.dtype) for k, v in arrays.items()
        }
        self.net = self.net.with_arrays(self.net.parameters | moved)
        self.run = EvaluationRun(self.net)

    def fit_classifier(self) -> None:
        """Fit the classifier to the old logits on the final features."""
        xp, place = self.backend.xp, self.backend
        features = [place.to_numpy(average_pool(xp, Y)) for Y, _ in self.features]
        goals = [place.to_numpy(classify(self.old, average_pool(xp, Z))) for _, Z in self.features]
        x, z = (np.concatenate(parts, axis=1).astype(np.float64) for parts in (features, goals))
        prior = np.asarray(place.to_numpy(self.net.parameters["fc.weight"]), dtype=np.float64).T
        W, mu = fit_classifier(x, z, prior, self.options.classifier_ridge)
        self._take({"fc.weight": W.T, "fc.bias": mu})


def _fit_sizes(old: ResNet, new: ResNet, images: int) -> list[FitSize]:
    both = zip(*(net.architecture.convolutions() for net in (old, new)), strict=True)
    return [
        FitSize(spec.name, images * _common_cells(spec, other), spec.c_in * spec.geometry.taps)
        for spec, other in both
    ]


def _common_cells(one: ConvolutionSpec, other: ConvolutionSpec) -> int:
    grids = one.geometry.out_shape, other.geometry.out_shape
    return prod(min(cells) for cells in zip(*grids, strict=True))


def calibrated(
    old: ResNet, new: ResNet, pairs: Batches, options: ResNetTransferOptions
) -> tuple[ResNet, tuple[LayerFit, ...]]:
    r"""Return the new network fitted to the old one, and how well each convolution fits.

    Parameters
    ----------
    old, new : ResNet
        On two grids; the parameters of `new` are the prior.
    pairs : list of tuple of array
        The same images for the new and for the old network, ``(in_channels, cells, m)``.
    options : ResNetTransferOptions

    Notes
    -----
    For each convolution in the order of execution, strided and 1 x 1 ones too, :class:`ResponseFit` with the
    features that reach it in the *new* network, so that errors of earlier layers are compensated. Its batch
    norm gets the statistics of the new responses before anything depends on it. Last, the classifier by
    ridge regression of the old logits.
    """
    images = sum(Y.shape[-1] for Y, _ in pairs)
    # The caller of transfer_resnet.
    warn_of_few_images(images, _fit_sizes(old, new, images), options.classifier, stacklevel=3)
    run = CalibrationRun(old, new, options, images)
    run(pairs)
    if options.classifier:
        run.fit_classifier()
    return run.net.with_arrays(statistics=run.statistics), tuple(run.fits)
