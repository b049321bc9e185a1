"""All parameters of a network as one vector, and back."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from refmg.classifier import Classifier
from refmg.controls import Controls
from refmg_backends.backend import Array


@dataclass(frozen=True)
class Parameters:
    """Controls and classifier, or a direction or gradient of the same shapes."""

    controls: Controls
    classifier: Classifier

    def flat(self, xp: ModuleType) -> Array:
        """Return all numbers as one vector, controls first."""
        return xp.concat([self.controls.flat(xp), self.classifier.flat(xp)])

    def unflat(self, xp: ModuleType, vector: Array) -> Parameters:
        """Return the parameters of these shapes that `vector` lists."""
        size = self.controls.size
        classifier = self.classifier.unflat(xp, vector[size:])
        return Parameters(self.controls.unflat(xp, vector[:size]), classifier)
