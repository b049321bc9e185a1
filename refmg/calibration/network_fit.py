"""Layer by layer, the stencils with which a network responds on its new grid as it did on the old one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg.architecture import Architecture
from refmg.calibration.classifier_fit import fit_classifier, fit_shared_classifier
from refmg.calibration.settings import Calibration
from refmg.calibration.stencil_fit import StencilFit, tap_operators
from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg.distributed.once import from_first
from refmg.distributed.share import Share
from refmg.distributed.shared_examples import share_of
from refmg.grid_change import GridChange
from refmg.network import Network
from refmg.network_move import moved_network
from refmg.transfer import Shape
from refmg.transfer_matrix import prolongation_matrix, restriction_matrix
from refmg_backends import RefmgError, get_backend
from refmg_backends.backend import Array

Features = NDArray[np.float64]
# A network's features on the old and on the new grid, batch by batch.
Pairs = list[tuple[Features, Features]]


def calibrated_network(
    network: Network, change: GridChange, fine: Features, coarse: Features, settings: Calibration
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
    """
    a = network.architecture
    if fine.shape[-1] != coarse.shape[-1]:
        raise RefmgError(
            f"found {fine.shape[-1]} fine and {coarse.shape[-1]} coarse images; expected the same"
        )
    if share_of(fine) != share_of(coarse):
        raise RefmgError("found images of one grid shared out among ranks; expected those of both, alike")
    check_control_times(a)
    run = _Calibration(network, moved_network(network, change, settings.prior, fine), change, settings)
    run.start(*((fine, coarse) if change.down else (coarse, fine)))
    for j in range(a.control_grid.nodes):
        run.fit_control(j)
        run.advance(j)
    return run.with_classifier()


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

    def __init__(self, old: Network, new: Network, change: GridChange, settings: Calibration) -> None:
        self.old, self.new, self.change, self.settings = old, new, change, settings
        self.R = restriction_matrix(change.fine, factor=change.factor)
        self.states: list[tuple[Array, Array]] = []
        self.share: Share | None = None

    def start(self, x_old: Features, x_new: Features) -> None:
        """Fit the opening and keep the first states."""
        place, size = self.old.backend, self.settings.batch_size
        self.share = share_of(x_old)
        if self.share is not None:
            self.division = self.share.division(x_old.shape[-1], size)
            size = self.share.batch(self.division, size)
            x_old, x_new = (x.own(self.division) for x in (x_old, x_new))  # type: ignore[attr-defined]
        starts = range(0, x_old.shape[-1], size)
        images = [
            tuple(place.asarray(x[..., i : i + size], dtype=self.old.dtype) for x in (x_old, x_new))
            for i in starts
        ]
        opening = self._fitted(self.old.controls.opening, self.new.controls.opening, lambda: images)
        self._take(replace(self.new.controls, opening=opening))
        for x, x_moved in images:
            states = self.old.propagation.first_state(x), self.new.propagation.first_state(x_moved)
            self.states.append(states)

    def fit_control(self, j: int) -> None:
        """Fit the stencils of control j at the present states."""
        a, old, new = self.old.architecture, self.old.controls.stencils, self.new.controls.stencils
        half = a.channels // 2
        # Of a Hamiltonian pair, the first half of the stencils reads z, the second reads y.
        parts = [(slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))]
        if a.layer != "hamiltonian":
            parts = [(slice(None), slice(None))]
        fitted = [
            self._fitted(old[j, rows, ...], new[j, rows, ...], lambda read=read: self._features(read))  # type: ignore[misc]
            for rows, read in parts
        ]
        xp = self.old.backend.xp
        layers = [new[i, ...] for i in range(new.shape[0])]
        layers[j] = xp.concat(fitted)
        self._take(replace(self.new.controls, stencils=xp.stack(layers)))

    def _features(self, channels: slice) -> Any:
        for states in self.states:
            yield tuple(self.old.propagation.integrator.project(S)[channels, ...] for S in states)

    def advance(self, j: int) -> None:
        """Take the states from the time of control j to that of the next."""
        a = self.old.architecture
        per_control = a.layers // a.control_grid.nodes
        for k in range(j * per_control, (j + 1) * per_control):
            self.states = [
                (self.old.propagation.step(k, S), self.new.propagation.step(k, S_new))
                for S, S_new in self.states
            ]

    def with_classifier(self) -> Network:
        """Return the calibrated network, its classifier fitted to the old one's logits."""
        place, old = self.old.backend, self.old
        new_volume = self.new.architecture.grid.cell_volume
        project = old.propagation.integrator.project
        prior = place.to_numpy(self.new.classifier.W)
        # None at first, for ranks without an image.
        logits = [np.zeros((prior.shape[-1], 0)), *(self._logits(S) for S, _ in self.states)]
        features = [place.to_numpy(project(S)) for _, S in self.states]
        rows = [np.zeros((prior[..., 0].size, 0)), *(Y.reshape(-1, Y.shape[-1]) for Y in features)]
        flat, goal = (np.concatenate(parts, axis=1).astype(np.float64) for parts in (rows, logits))
        given = new_volume * flat, goal, prior.reshape(-1, prior.shape[-1]), self.settings.classifier_ridge
        if self.share is None:
            W, mu = fit_classifier(*given)
        else:
            W, mu = fit_shared_classifier(*given, self.share, self.division)
        arrays = (place.asarray(x, dtype=old.dtype) for x in (W.reshape(prior.shape), mu))
        return self.new.with_classifier(Classifier(*arrays))

    def _logits(self, S: Array) -> Features:
        old, project = self.old, self.old.propagation.integrator.project
        volume = old.architecture.grid.cell_volume
        return old.backend.to_numpy(old.classifier.logits(old.backend, volume, project(S)))

    def _take(self, controls: Controls) -> None:
        self.new = self.new.with_controls(controls)

    def _fitted(self, s_old: Array, prior: Array, batches: Callable[[], Any]) -> Array:
        """Return the stencil on the new grid that responds most like `s_old` on the old one."""
        place, boundary = self.old.backend, self.old.architecture.boundary
        s, s_0 = (place.to_numpy(x).astype(np.float64) for x in (s_old, prior))
        R, R_old = (None, self.R) if self.change.down else (self.R, None)
        given = tap_operators(s.shape[2:], self.change.old, boundary, R=R_old)
        operators = tap_operators(s.shape[2:], self.change.new, boundary, R=R)
        rough, weight = self._rough(s.shape[2:]), self.settings.smoothness / prod(self.change.factor)

        def empty() -> StencilFit:
            return StencilFit(operators, s.shape[1], s.shape[0])

        def with_pair(fit: StencilFit, y_old: Array, y_new: Array) -> StencilFit:
            new = _cells(place.to_numpy(y_new))
            fit.add(new, _response(given, s, _cells(place.to_numpy(y_old))))
            if rough:
                fit.penalize(new, rough, weight)
            return fit

        fit, share, ridge = empty(), self.share, self.settings.ridge
        if share is None:
            for pair in batches():
                with_pair(fit, *pair)
            return place.asarray(fit.solve(s_0, ridge), dtype=self.old.dtype)
        terms = (with_pair(empty(), *pair).sums for pair in batches())
        fit.take(share.total(get_backend("numpy"), terms, self.division))
        found = from_first(share.communicator, lambda: fit.solve(s_0, ridge))
        return place.asarray(found, dtype=self.old.dtype)

    def _rough(self, width: Shape) -> list[Any]:
        """Return what each tap's response has within coarse cells, ``(I - P R) T_j``; nothing to coarse."""
        if self.change.down or not self.settings.smoothness:
            return []
        boundary = self.old.architecture.boundary
        P = prolongation_matrix(self.change.fine, "average", self.change.factor, boundary)
        return [T - P @ (self.R @ T) for T in tap_operators(width, self.change.fine, boundary)]


def _cells(Y: NDArray[Any]) -> Features:
    return Y.reshape(Y.shape[0], prod(Y.shape[1:-1]), -1).astype(np.float64)


def _response(operators: list[Any], s: Features, Y: Features) -> Features:
    """Return the sum of the taps' channel matrices times their operators, on ``(C, N, m)``."""
    taps = np.moveaxis(s.reshape(*s.shape[:2], -1), -1, 0)
    by_cell = np.moveaxis(Y, 0, 1).reshape(Y.shape[1], -1)
    seen = ((T @ by_cell).reshape(T.shape[0], *Y.shape[::2]) for T in operators)
    return np.asarray(
        sum(np.einsum("oi,nim->onm", S, y, optimize=True) for S, y in zip(taps, seen, strict=True))
    )
