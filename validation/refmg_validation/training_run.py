"""One training run that goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refmg import Architecture, Network, load_network, random_network, save_network
from refmg.optimization import TrainingSettings, block_coordinate_descent
from refmg_backends import RefmgError


@dataclass(frozen=True)
class Examples:
    """Images in refmg's layout, and their labels."""

    x: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class TrainingRun:
    """The training of one network, saved after every iteration.

    Parameters
    ----------
    path : pathlib.Path
        The ``safetensors`` file.
    architecture : Architecture
        What to train.
    settings : TrainingSettings
        How.
    fingerprint : dict
        All that decides the result. A file with another one is refused, not overwritten.
    """

    path: Path
    architecture: Architecture
    settings: TrainingSettings
    fingerprint: dict[str, Any]

    def state(self, dtype: str) -> tuple[Network, list[dict[str, Any]]]:
        """Return the network to go on with, and the records so far.

        Raises
        ------
        RefmgError
            If the file belongs to a run with other settings.
        """
        if not self.path.exists():
            return random_network(self.architecture, self.settings.seed, dtype=dtype), []
        network, notes = load_network(self.path)
        self._check(notes.get("fingerprint", {}))
        return network, notes["history"]

    def _check(self, found: dict[str, Any]) -> None:
        names = sorted({*found, *self.fingerprint})
        other = [name for name in names if found.get(name) != self.fingerprint.get(name)]
        if other:
            pairs = "; ".join(f"{n}: {found.get(n)} there, {self.fingerprint.get(n)} now" for n in other)
            raise RefmgError(
                f"{self.path} belongs to a run with other settings ({pairs}); name another --output, or "
                "delete this one"
            )

    def go(
        self, train: Examples, validation: Examples, dtype: str
    ) -> Iterator[tuple[Network, dict[str, Any]]]:
        """Train; yield network and record after each iteration, once they are saved."""
        network, history = self.state(dtype)
        if history:
            yield network, history[-1]
        done = len(history) - 1
        for step in block_coordinate_descent(network, train.x, train.labels, self.settings, done):
            accuracy = step.network.accuracy(validation.x, validation.labels)
            history = [*history, step.record() | {"validation": accuracy}]
            notes = {"fingerprint": self.fingerprint, "history": history}
            save_network(self.path, step.network, notes)
            yield step.network, history[-1]
