"""The learning problem in the controls, or in all parameters (paper, equation 6), streamed in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy

from refmg.batches import Batch, examples_in, mapped, over_ranks, own, summed
from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg.evaluation import Evaluation, Product, Totals, correct
from refmg.halving import in_halves
from refmg.losses import LossPoint, named_loss
from refmg.network import Network
from refmg.parameters import Parameters
from refmg.propagation import Propagation
from refmg.readout import Readout
from refmg.regularization import Regularization
from refmg.trajectory import Trajectory, linearized
from refmg_backends.backend import Array


@dataclass(frozen=True)
class _Point:
    """One batch linearised: propagation, then loss."""

    trajectory: Trajectory
    loss: LossPoint
    correct: Array


@dataclass
class _Kept:
    """A batch with its linearisation, which is made anew after it was dropped for want of memory."""

    batch: Batch
    point: _Point | None = None

    @property
    def size(self) -> int:
        return self.batch.size

    def halves(self) -> list[_Kept]:
        self.point = None
        return [_Kept(half) for half in self.batch.halves()]


class NetworkObjective:
    r"""Mean loss plus regularisers as a function of all parameters, as one vector.

    Parameters
    ----------
    network : Network
        Gives shapes, constants and backend; :meth:`vector` gives its parameters.
    batches : sequence of Batch
        Images and labels; :class:`refmg.Batches` streams them with fixed memory.
    regularization : Regularization, optional
        Weights of the regularisers; none by default.
    loss : str
        See :func:`refmg.losses.named_loss`.
    storage : {"all", "checkpoint", "reversible"}
        What each batch keeps for its sensitivities, see :func:`refmg.trajectory.linearized`.

    Raises
    ------
    RefmgError
        If the loss or the storage is unknown, or the integrator is not reversible.

    Notes
    -----
    .. math:: \frac1m \sum_e S(h^d W^T y_N^{(e)} + \mu, c_e) + R(\theta) + R(W).

    Gradients are those of the discrete scheme, by its adjoint.

    Examples
    --------
    >>> import scipy.optimize
    >>> from refmg import Architecture, Batches, random_network
    >>> network = random_network(Architecture((4, 4), channels=2, classes=2), 0, "numpy", "float64")
    >>> x = np.random.default_rng(0).normal(size=(1, 4, 4, 6))
    >>> batches = Batches(x, np.array([0, 1] * 3), 2, 4, network.backend, "float64")
    >>> objective = NetworkObjective(network, batches, Regularization(1e-3, 1e-3, 1e-3))
    >>> found = scipy.optimize.minimize(
    ...     objective.value_and_gradient, objective.vector(network), jac=True, method="L-BFGS-B"
    ... )
    >>> bool(found.fun < objective.value(objective.vector(network)))
    True
    """

    def __init__(
        self,
        network: Network,
        batches: Sequence[Batch],
        regularization: Regularization | None = None,
        loss: str = "softmax",
        storage: str = "all",
    ) -> None:
        self.start, self.batches, self.storage = network, own(batches), storage
        self.architecture, self.backend, self.xp = network.architecture, network.backend, network.backend.xp
        self.regularization = regularization or Regularization()
        self.loss, self.volume = named_loss(loss), network.architecture.grid.cell_volume

    def vector(self, network: Network) -> Array:
        """Return the free parameters of a network as one vector."""
        return Parameters(network.controls, network.classifier).flat(self.xp)

    def network(self, vector: Array) -> Network:
        """Return the network with these free parameters."""
        parts = self._direction(self._own(vector))
        return replace(self.start, controls=parts.controls, classifier=parts.classifier)

    def _direction(self, vector: Array) -> Parameters:
        return Parameters(self.start.controls, self.start.classifier).unflat(self.xp, vector)

    def _free(self, controls: Controls, classifier: Classifier) -> Array:
        return Parameters(controls, classifier).flat(self.xp)

    def _own(self, vector: Array) -> Array:
        return self.backend.asarray(vector, dtype=self.start.dtype)

    def _propagation(self, controls: Controls) -> Propagation:
        return Propagation(self.architecture, controls, self.backend).prepared

    def evaluate(self, vector: Array) -> Evaluation:
        """Return loss, regulariser and accuracy."""
        network = self.network(vector)
        propagation, m = self._propagation(network.controls), examples_in(self.batches)
        readout = network.readout

        def terms(batch: Batch) -> tuple[Array, Array]:
            logits = propagation.logits(readout, batch.x)
            return self.loss.value(self.xp, logits, batch.targets), correct(self.xp, logits, batch.targets)

        totals = Totals(self.backend)
        for part in summed(self.backend, terms, self.batches, propagation.lanes):
            totals.add(*part)
        return totals.evaluation(m, self._penalty(network))

    def value(self, vector: Array) -> float:
        """Return the objective."""
        return self.evaluate(vector).objective

    def evaluate_with_gradient(self, vector: Array) -> tuple[Evaluation, Array]:
        """Return loss, regulariser and accuracy, and the gradient of the objective."""
        totals, penalty, gradient = self._totals_and_gradient(vector)
        return totals.evaluation(examples_in(self.batches), penalty), gradient

    def gradient(self, vector: Array) -> Array:
        """Return the gradient alone: no number is read from the device, so that no step waits for it."""
        return self._totals_and_gradient(vector)[-1]

    def _totals_and_gradient(self, vector: Array) -> tuple[Totals, Array, Array]:
        """Return what sums over the examples, the regularisers' value, and the gradient of both."""
        network, m = self.network(vector), examples_in(self.batches)
        propagation, readout = self._propagation(network.controls), network.readout

        def terms(batch: Batch) -> tuple[Array, Array, Array]:
            point = self._linearized(propagation, readout, batch)
            return point.loss.value, point.correct, self._back(readout, point, point.loss.gradient / m)

        totals, x = Totals(self.backend), self._own(vector)
        total = self.penalty_product(x)
        penalty = 0.5 * self.xp.sum(x * total)
        for *part, gradient in summed(self.backend, terms, self.batches, self._lanes(propagation)):
            totals.add(*part)
            total = total + gradient
        return totals, penalty, total

    def value_and_gradient(self, vector: Array) -> tuple[float, Array]:
        """Return the objective and its gradient, as ``scipy.optimize.minimize(jac=True)`` wants them."""
        evaluation, gradient = self.evaluate_with_gradient(vector)
        return evaluation.objective, gradient

    def gauss_newton(self, vector: Array, batches: Sequence[Batch] | None = None) -> Product:
        r"""Return the product with the Gauss-Newton matrix ``J^T H J``, regularisers included.

        Parameters
        ----------
        vector : array
            Where to linearise.
        batches : sequence of Batch, optional
            A subsample for the Hessian; all batches by default. What each keeps is chosen by `storage`.

        Returns
        -------
        callable
            From vector to vector of the backend.

        Raises
        ------
        MemoryError
            If a single example does not fit, in a product as here.
        """
        chosen = self.batches if batches is None else own(batches)
        network, m = self.network(vector), examples_in(chosen)
        propagation, readout = self._propagation(network.controls), network.readout

        def about(batch: Batch) -> _Point:
            return self._linearized(propagation, readout, batch)

        kept = mapped(self.backend, lambda b: _Kept(b, about(b)), chosen, self._lanes(propagation))
        points = [[part] for part in kept]

        def product(v: Array) -> Array:
            direction, total = self._direction(v), self.penalty_product(v)
            along = self._propagation(direction.controls)

            def term(kept: _Kept) -> Array:
                kept.point = kept.point or about(kept.batch)
                return self._curvature(readout, kept.point, direction, along)

            # A product takes memory beside all that is kept: halves are linearised anew, and stay.
            found = self.backend.map(lambda parts: in_halves(self.backend, term, parts), points)
            terms = (
                (kept.size, (part / m,))
                for parts, whole in zip(points, found, strict=True)
                for kept, part in zip(parts, whole, strict=True)
            )
            for (part,) in over_ranks(self.backend, terms, chosen):
                total = total + part
            return total

        return product

    def hessian_product(self, vector: Array) -> scipy.sparse.linalg.LinearOperator:
        """Return the Gauss-Newton matrix on host vectors, as a SciPy ``LinearOperator``."""
        product, size = self.gauss_newton(vector), int(vector.shape[0])

        def matvec(v: Any) -> Any:
            return self.backend.to_numpy(product(self._own(np.ravel(v))))

        return scipy.sparse.linalg.LinearOperator(
            dtype=np.dtype(self.start.dtype), shape=(size, size), matvec=matvec, rmatvec=matvec
        )

    def _lanes(self, propagation: Propagation) -> int | None:
        # The features meet kernels that want whole vectors.
        return None

    def _trajectory(self, propagation: Propagation, readout: Readout, x: Array) -> Trajectory:
        # The features themselves are needed for the gradient of the classifier.
        return linearized(propagation, x, self.storage)

    def _linearized(self, propagation: Propagation, readout: Readout, batch: Batch) -> _Point:
        trajectory = self._trajectory(propagation, readout, batch.x)
        logits = trajectory.logits(readout)
        point = self.loss.linearize(self.xp, logits, batch.targets)
        return _Point(trajectory, point, correct(self.xp, logits, batch.targets))

    def _back(self, readout: Readout, point: _Point, G: Array) -> Array:
        """Return the adjoint of the logits' derivative, for one batch."""
        controls, Y = point.trajectory.logits_adjoint(readout, G), point.trajectory.Y
        return self._free(controls, self.start.classifier.weight_gradient(self.backend, self.volume, Y, G))

    def _curvature(self, readout: Readout, point: _Point, d: Parameters, along: Propagation) -> Array:
        """Return ``J^T H J`` times a direction, for one batch."""
        logits = point.trajectory.logits_tangent(readout, along) + self._classifier_tangent(d, point)
        return self._back(readout, point, point.loss.hessian_product(logits))

    def _classifier_tangent(self, direction: Parameters, point: _Point) -> Array | float:
        return direction.classifier.logits(self.backend, self.volume, point.trajectory.Y)

    def penalty_product(self, vector: Array) -> Array:
        """Return the regularisers' matrix times a vector."""
        d, xp, a = self._direction(vector), self.xp, self.architecture
        controls = self.regularization.of_controls(xp, d.controls, a.control_dt)
        weights = self.regularization.of_weights(xp, d.classifier.W, a.grid)
        return self._free(controls, Classifier(weights, xp.zeros_like(d.classifier.mu)))

    def _penalty(self, network: Network) -> Array:
        vector = self.vector(network)
        return 0.5 * self.xp.sum(vector * self.penalty_product(vector))


class ControlObjective(NetworkObjective):
    """The objective as a function of the controls alone, with the network's classifier held fixed.

    The regulariser of the weights is constant here and left out. Parameters as for
    :class:`NetworkObjective`.
    """

    def vector(self, network: Network) -> Array:
        """Return the controls of a network as one vector."""
        return network.controls.flat(self.xp)

    def _direction(self, vector: Array) -> Parameters:
        return Parameters(self.start.controls.unflat(self.xp, vector), self.start.classifier)

    def _free(self, controls: Controls, classifier: Classifier) -> Array:
        return controls.flat(self.xp)

    def _lanes(self, propagation: Propagation) -> int | None:
        return propagation.lanes if self.storage == "all" else None

    def _trajectory(self, propagation: Propagation, readout: Readout, x: Array) -> Trajectory:
        return linearized(propagation, x, self.storage, readout)

    def _back(self, readout: Readout, point: _Point, G: Array) -> Array:
        return point.trajectory.logits_adjoint(readout, G).flat(self.xp)

    def _classifier_tangent(self, direction: Parameters, point: _Point) -> Array | float:
        return 0.0
