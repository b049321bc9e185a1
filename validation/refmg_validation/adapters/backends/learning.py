"""Losses, regularisers, Gauss-Newton products and steps by refmg."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from refmg import (
    Architecture,
    Batches,
    Classifier,
    ClassifierObjective,
    ControlObjective,
    Grid,
    Network,
    Regularization,
    named_loss,
)
from refmg.losses import as_targets
from refmg.optimization import TrainingSettings, classifier_steps, control_step
from refmg_validation.adapters.backends.arrays import grid_of
from refmg_validation.adapters.backends.networks import (
    NetworkFunctions,
    architecture,
    identity_opening,
)

Arrays = NDArray[Any]


class LearningFunctions(NetworkFunctions):
    """Losses, regularisers, Gauss-Newton products and steps."""

    def classifier_loss(
        self, loss: str, features: Arrays, W: Arrays, mu: Arrays, labels: Arrays
    ) -> tuple[Arrays, ...]:
        """Return logits, mean loss, and its gradients in features, weights and biases."""
        place, m, Y = self.place, features.shape[-1], self.up(features)
        classifier, volume = Classifier(self.up(W), self.up(mu)), Grid(grid_of(features)).cell_volume
        targets = self.up(as_targets(labels, len(mu)).astype(W.dtype))
        logits = classifier.logits(place, volume, Y)
        point = named_loss(loss).linearize(place.xp, logits, targets)
        G = point.gradient / m
        gradient = classifier.weight_gradient(place, volume, Y, G)
        back = classifier.logits_adjoint(place, volume, G)
        found = (logits, point.value / m, back, gradient.W, gradient.mu)
        return tuple(self.down(part) for part in found)

    def classifier_hessian_product(
        self,
        loss: str,
        features: Arrays,
        W: Arrays,
        mu: Arrays,
        labels: Arrays,
        W_direction: Arrays,
        mu_direction: Arrays,
    ) -> tuple[Arrays, Arrays]:
        """Return the Hessian of the mean loss times a direction."""
        xp, classifier = self.place.xp, Classifier(self.up(W), self.up(mu))
        network = self._fixed_features(features, classifier)
        batches = Batches(features, labels, len(mu), features.shape[-1], self.place, W.dtype.name)
        objective = ClassifierObjective(network.architecture, batches, Regularization(), self.place, loss)
        direction = Classifier(self.up(W_direction), self.up(mu_direction))
        found = classifier.unflat(xp, objective.derivatives(classifier)[2](direction.flat(xp)))
        return self.down(found.W), self.down(found.mu)

    def weight_regularizer(self, W: Arrays, alpha_W: float) -> tuple[Any, Arrays]:
        """Return value and gradient for the classifier's weights."""
        place, weights = self.up(W), Regularization(alpha_W=float(alpha_W))
        gradient = weights.of_weights(self.place.xp, place, Grid(W.shape[1:-1]))
        return self.down(0.5 * self.place.xp.sum(place * gradient)), self.down(gradient)

    def control_regularizer(
        self, final_time: float, alpha_t: float, alpha_0: float, **controls: Arrays
    ) -> tuple[Any, ...]:
        """Return value and gradient for opening, stencils and biases."""
        x, xp = self.controls(controls), self.place.xp
        weights = Regularization(alpha_t=float(alpha_t), alpha_0=float(alpha_0))
        dt = float(final_time) / len(controls["stencils"])
        value = weights.value_of_controls(xp, x, dt)
        return value, *self.on_host(weights.of_controls(xp, x, dt))

    def control_gradient(self, **inputs: Any) -> tuple[Any, ...]:
        """Return the mean loss of the network, and its gradient in the controls."""
        objective, network = self._objective(inputs)
        value, gradient = objective.value_and_gradient(objective.vector(network))
        return value, *self.on_host(network.controls.unflat(self.place.xp, gradient))

    def gauss_newton_product(self, **inputs: Any) -> tuple[Arrays, ...]:
        """Return ``J^T H J v`` in the controls."""
        objective, network = self._objective(inputs)
        xp, direction = self.place.xp, self.controls(inputs, "_direction")
        product = objective.gauss_newton(objective.vector(network))(direction.flat(xp))
        return self.on_host(network.controls.unflat(xp, product))

    def control_step(
        self, alpha_t: float, alpha_0: float, cg_iterations: int, cg_tolerance: float, **inputs: Any
    ) -> tuple[Any, ...]:
        """Return the controls after a Gauss-Newton step, and its length."""
        network, batches = self._learning(inputs)
        settings = TrainingSettings(
            cg_iterations=int(cg_iterations),
            cg_tolerance=float(cg_tolerance),
            regularization=Regularization(alpha_t=float(alpha_t), alpha_0=float(alpha_0)),
            loss=inputs["loss"],
        )
        found, step = control_step(network, batches, batches, settings)
        return *self.on_host(found.controls), step.step

    def descent_iteration(
        self,
        subsample: Arrays,
        alpha_t: float,
        alpha_0: float,
        alpha_W: float,
        cg_iterations: int,
        cg_tolerance: float,
        newton_steps: int,
        newton_cg_iterations: int,
        newton_cg_tolerance: float,
        **inputs: Any,
    ) -> tuple[Arrays, ...]:
        """Return all parameters after one iteration of block coordinate descent."""
        settings = TrainingSettings(
            newton_steps=int(newton_steps),
            cg_iterations=int(cg_iterations),
            cg_tolerance=float(cg_tolerance),
            newton_cg_iterations=int(newton_cg_iterations),
            newton_cg_tolerance=float(newton_cg_tolerance),
            regularization=Regularization(float(alpha_W), float(alpha_t), float(alpha_0)),
            loss=inputs["loss"],
        )
        network, batches = self._learning(inputs)
        network, _ = control_step(network, batches, batches.take(subsample), settings)
        network = classifier_steps(network, batches, settings).network
        found = network.classifier
        return *self.on_host(network.controls), self.down(found.W), self.down(found.mu)

    def classifier_steps(
        self,
        loss: str,
        features: Arrays,
        W: Arrays,
        mu: Arrays,
        labels: Arrays,
        alpha_W: float,
        newton_steps: int,
        cg_iterations: int,
        cg_tolerance: float,
    ) -> tuple[Arrays, Arrays]:
        """Return the classifier after some Newton steps."""
        settings = TrainingSettings(
            newton_steps=int(newton_steps),
            newton_cg_iterations=int(cg_iterations),
            newton_cg_tolerance=float(cg_tolerance),
            regularization=Regularization(alpha_W=float(alpha_W)),
            loss=loss,
        )
        network = self._fixed_features(features, Classifier(self.up(W), self.up(mu)))
        batches = Batches(features, labels, len(mu), features.shape[-1], self.place, W.dtype.name)
        found = classifier_steps(network, batches, settings).network.classifier
        return self.down(found.W), self.down(found.mu)

    def _objective(self, inputs: dict[str, Any]) -> tuple[ControlObjective, Network]:
        network, batches = self._learning(inputs)
        return ControlObjective(network, batches, loss=inputs["loss"]), network

    def _learning(self, inputs: dict[str, Any]) -> tuple[Network, Batches]:
        images, mu = inputs["images"], inputs["mu"]
        classifier = Classifier(self.up(inputs["W"]), self.up(mu))
        network = Network(architecture(inputs, len(mu)), self.controls(inputs), classifier, self.place)
        size, dtype = images.shape[-1], images.dtype.name
        return network, Batches(images, inputs["labels"], len(mu), size, self.place, dtype)

    def _fixed_features(self, features: Arrays, classifier: Classifier) -> Network:
        """Return a network whose final features are its images."""
        channels, classes = features.shape[0], int(classifier.mu.shape[0])
        a = Architecture(
            grid_of(features), channels, 1, width=1, opening_width=1, in_channels=channels, classes=classes
        )
        return Network(a, self.controls(identity_opening(features)), classifier, self.place)
