"""Layer by layer, the stencils with which a network responds on its new grid as it did on the old one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from refmg.architecture import Architecture
from refmg.calibration.classifier_fit import fit_streamed_classifier
from refmg.calibration.few_images import FitSize, warn_of_few_images
from refmg.calibration.paired_fit import PARTS, Features, PairedFit, Sums
from refmg.calibration.settings import Calibration
from refmg.calibration.state_pairs import Pair, StatePairs
from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg.distributed.once import from_first
from refmg.distributed.shared_examples import SharedExamples, alone_or_shared, share_of
from refmg.grid_change import GridChange
from refmg.network import Network
from refmg.network_move import moved_network
from refmg.transfer_matrix import restriction_matrix
from refmg_backends import RefmgError, get_backend
from refmg_backends.backend import Array


def calibrated_network(
    network: Network, change: GridChange, fine: Any, coarse: Any, settings: Calibration
) -> Network:
    r"""Return the network on the new grid, calibrated on unlabelled images.

    Parameters
    ----------
    network : Network
        On the grid ``change.old``.
    change : GridChange
        The two grids.
    fine, coarse : ndarray or SharedExamples, shape (C_in, n_1, .., n_d, m)
        The same images on both grids.
    settings : Calibration
        Prior map, ridges, batches.

    Returns
    -------
    Network

    Warns
    -----
    FewImagesWarning
        If most convolutions have fewer equations than unknowns, or there is one image alone.

    Raises
    ------
    RefmgError
        If the numbers of images differ, only one of them is shared out among ranks, or a control lies between
        two steps.

    Notes
    -----
    For each convolution in turn, the features so far on the coarse grid, :math:`y_H`, and on the fine one,
    :math:`y_h`, give the new stencil: it minimises
    :math:`\|K_H(s_H) y_H - R K_h(s_h) y_h\|^2 + \lambda \|s - s_0\|^2` over :math:`s_H` or over :math:`s_h`;
    over the latter with :math:`\mu f^{-d} \|(I - P R) K_h(s_h) y_h\|^2` (smoothness; P is constant in
    coarse cells).
    Biases are kept. Then the classifier is fitted to the logits of the given network.

    The layers may be residual, symmetric or Hamiltonian: what is fitted is the argument of the activation.
    (The outer :math:`K^T` of the latter two follows.) Verlet's z lies half a step before y there.
    Every control is fitted at its own time, so its time must be that of a step: M must divide N. Later
    controls that a step sees already, by interpolation, are those of the prior.

    Images are read in batches. Of states as many are kept as ``settings.kept_bytes`` says; for the others
    every layer begins at the images again. The classifier's normal equations have as many rows as weights or
    images, whichever are fewer.
    """
    a = network.architecture
    if fine.shape[-1] != coarse.shape[-1]:
        raise RefmgError(
            f"found {fine.shape[-1]} fine and {coarse.shape[-1]} coarse images; expected the same"
        )
    if share_of(fine) != share_of(coarse):
        raise RefmgError("found images of one grid shared out among ranks; expected those of both, alike")
    check_control_times(a)
    images = alone_or_shared(fine), alone_or_shared(coarse)
    if images[0].share.communicator.rank == 0:
        # The caller of transfer_network.
        warn_of_few_images(
            fine.shape[-1], _fit_sizes(a, change, fine.shape[-1]), classifier=True, stacklevel=4
        )
    prior = moved_network(network, change, settings.prior, images[0])
    run = _Calibration(network, prior, change, images if change.down else images[::-1], settings)
    run.fit_opening()
    for j in range(a.control_grid.nodes):
        run.fit_control(j)
        run.advance(j)
    return run.with_classifier()


def _fit_sizes(a: Architecture, change: GridChange, images: int) -> list[FitSize]:
    equations = images * prod(change.coarse)
    channels = a.channels // 2 if a.layer == "hamiltonian" else a.channels
    shapes = {"opening": (a.in_channels, a.opening_width)}
    shapes |= {f"control {j}": (channels, a.width) for j in range(a.control_grid.nodes)}
    return [FitSize(name, equations, c * w ** len(a.shape)) for name, (c, w) in shapes.items()]


def check_control_times(a: Architecture) -> None:
    """Refuse a network of which some control has not the time of a step.

    Raises
    ------
    RefmgError
        If M does not divide N.

    Examples
    --------
    >>> check_control_times(Architecture((8, 8), layers=4, control_nodes=2))
    """
    if a.layers % a.control_grid.nodes:
        raise RefmgError(
            f"found {a.control_grid.nodes} controls for {a.layers} steps; expected a divisor, so that every "
            "control has the time of a step: take another transfer"
        )


class _Calibration:
    """Two networks side by side, and their states on every batch."""

    def __init__(
        self,
        old: Network,
        new: Network,
        change: GridChange,
        images: tuple[SharedExamples, SharedExamples],
        settings: Calibration,
    ) -> None:
        self.old, self.new, self.change, self.settings = old, new, change, settings
        self.R = restriction_matrix(change.fine, factor=change.factor)
        self.share = images[0].share
        self.division = self.share.division(images[0].shape[-1], settings.batch_size)
        size = self.share.batch(self.division, settings.batch_size)
        self.states = StatePairs(old, *images, self.division, size, settings.kept_bytes)

    def fit_opening(self) -> None:
        """Fit the opening and go to time 0."""
        own = self.old.controls.opening, self.new.controls.opening, slice(None)
        (opening,) = self._fitted([own], self.states.images())
        self._take(replace(self.new.controls, opening=opening))
        self.states.open(self.old.propagation, self.new.propagation)

    def fit_control(self, j: int) -> None:
        """Fit the stencils of control j at the present states."""
        a, old, new = self.old.architecture, self.old.controls.stencils, self.new.controls.stencils
        half, xp = a.channels // 2, self.old.backend.xp
        # Of a Hamiltonian pair, the first half of the stencils reads z, the second reads y.
        parts = [(slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))]
        if a.layer != "hamiltonian":
            parts = [(slice(None), slice(None))]
        project = self.old.propagation.integrator.project
        features = ((project(S), project(S_new)) for S, S_new in self.states)
        fitted = self._fitted(
            [(old[j, rows, ...], new[j, rows, ...], read) for rows, read in parts], features
        )
        layers = [new[i, ...] for i in range(new.shape[0])]
        layers[j] = xp.concat(fitted)
        self._take(replace(self.new.controls, stencils=xp.stack(layers)))

    def advance(self, j: int) -> None:
        """Take the states from the time of control j to that of the next."""
        a = self.old.architecture
        per_control = a.layers // a.control_grid.nodes
        for k in range(j * per_control, (j + 1) * per_control):
            self.states.advance(k, self.old.propagation, self.new.propagation)

    def with_classifier(self) -> Network:
        """Return the calibrated network, its classifier fitted to the old one's logits."""
        place, old = self.old.backend, self.old
        prior = place.to_numpy(self.new.classifier.W)
        W, mu = fit_streamed_classifier(
            self._features_and_logits,
            prior.reshape(-1, prior.shape[-1]),
            self.settings.classifier_ridge,
            self.share,
            self.division,
        )
        arrays = (place.asarray(x, dtype=old.dtype) for x in (W.reshape(prior.shape), mu))
        return self.new.with_classifier(Classifier(*arrays))

    def _features_and_logits(self) -> Iterator[tuple[Features, Features]]:
        place, old, project = self.old.backend, self.old, self.old.propagation.integrator.project
        volume, new_volume = (net.architecture.grid.cell_volume for net in (old, self.new))
        for S, S_new in self.states:
            Y, logits = project(S_new), old.classifier.logits(place, volume, project(S))
            flat, goal = (np.asarray(place.to_numpy(x), dtype=np.float64) for x in (Y, logits))
            yield new_volume * flat.reshape(-1, flat.shape[-1]), goal

    def _take(self, controls: Controls) -> None:
        self.new = self.new.with_controls(controls)

    def _fitted(self, wanted: list[tuple[Array, Array, slice]], pairs: Iterable[Pair]) -> list[Array]:
        """Return the stencils on the new grid that respond most like those on the old one.

        Parameters
        ----------
        wanted : list of (array, array, slice)
            The old stencil, the prior of the new one, and the channels that they read.
        pairs : iterable of (array, array)
            What they read on the old and on the new grid; gone through once.
        """
        place, boundary = self.old.backend, self.old.architecture.boundary
        hosts = [(place.to_numpy(given), place.to_numpy(prior)) for given, prior, _ in wanted]
        fits = [PairedFit(self.change, self.R, boundary, *both, settings=self.settings) for both in hosts]

        def sums(pair: Pair) -> Sums:
            found = list[Features]()
            for fit, (*_, read) in zip(fits, wanted, strict=True):
                found += fit.sums(*(place.to_numpy(Y[read, ...]) for Y in pair))
            return tuple(found)

        total = self.share.total(get_backend("numpy"), map(sums, pairs), self.division)
        each = [total[i : i + PARTS] for i in range(0, len(total), PARTS)]
        solved = from_first(
            self.share.communicator,
            lambda: [fit.solve(own) for fit, own in zip(fits, each, strict=True)],
        )
        return [place.asarray(s, dtype=self.old.dtype) for s in solved]
