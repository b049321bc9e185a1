"""One training run that goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from refmg import Architecture, Network, load_network, random_network, save_network
from refmg.optimization import TrainingSettings, block_coordinate_descent
from refmg_backends import RefmgError
from refmg_validation.damage import told_as_damage
from refmg_validation.ranks import once
from refmg_validation.runs import RunFolder, check_fingerprint, checkpoint_steps

History = list[dict[str, Any]]


@dataclass(frozen=True)
class Examples:
    """Images in refmg's layout, and their labels."""

    x: np.ndarray
    labels: np.ndarray


def has_begun(path: Path) -> bool:
    """Return whether there is anything of a run that ends in the file `path`."""
    return once(lambda: path.exists() or bool(checkpoint_steps(path.with_suffix(""))))


@dataclass(frozen=True)
class TrainingRun:
    """The training of one network: a checkpoint after every iteration, then the finished network.

    Parameters
    ----------
    path : pathlib.Path
        The ``safetensors`` file of the finished network; the checkpoints are in the folder of the
        same name without the ending. Former versions of refmg wrote this file after every iteration:
        what such a run has reached counts.
    architecture : Architecture
        What to train.
    settings : TrainingSettings
        How.
    fingerprint : dict
        All that decides the result. A file or folder with another one is refused, not overwritten.
    session : dict
        Where what this process adds comes from; saved with every checkpoint and with the network.
    """

    path: Path
    architecture: Architecture
    settings: TrainingSettings
    fingerprint: dict[str, Any]
    session: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> RunFolder:
        """The checkpoints."""
        return RunFolder(self.path.with_suffix(""), self.fingerprint)

    def state(self, dtype: str) -> tuple[Network, History]:
        """Return the network to go on with, and the records so far.

        Raises
        ------
        RefmgError
            If what is there belongs to a run with other settings, or is damaged.
        """
        network, history = self._in_file()
        if not self._is_whole(history):
            checkpoint = self.folder.latest()
            if checkpoint is not None and checkpoint.step >= len(history):
                with told_as_damage(f"the last checkpoint of {self.path} is damaged", "delete it to go on"):
                    network, history = checkpoint.network, list(checkpoint.notes["history"])
        if network is None:
            network = random_network(self.architecture, self.settings.seed, dtype=dtype)
        return network, history

    def _in_file(self) -> tuple[Network | None, History]:
        return once(self._read_file)

    def _read_file(self) -> tuple[Network | None, History]:
        if not self.path.exists():
            return None, []
        try:
            network, notes = load_network(self.path)
        except RefmgError as error:
            raise RefmgError(
                f"{error}; delete it to go on from the last checkpoint, or to start again where there is none"
            ) from error
        check_fingerprint(self.path, notes.get("fingerprint", {}), self.fingerprint)
        with told_as_damage(f"{self.path} is damaged", "delete it to go on from the last checkpoint"):
            return network, list(notes["history"])

    def sessions(self) -> list[dict[str, Any]]:
        """Return where the training comes from, one entry a process; none of former versions' files."""
        return once(self._sessions)

    def _sessions(self) -> list[dict[str, Any]]:
        if self.path.exists():
            _, notes = load_network(self.path)
        else:
            checkpoint = self.folder.latest()
            notes = {} if checkpoint is None else checkpoint.notes
        found: list[dict[str, Any]] = notes.get("sessions", [])
        return found

    def _is_whole(self, history: History) -> bool:
        return len(history) > self.settings.iterations

    def go(
        self, train: Examples, validation: Examples, dtype: str
    ) -> Generator[tuple[Network, dict[str, Any]], None, None]:
        """Train; yield network and record after each iteration, once they are saved."""
        network, history = self._in_file()
        if network is not None and self._is_whole(history):
            yield network, history[-1]
            return
        with self.folder as folder:
            network, history = self.state(dtype)
            if history:
                yield network, history[-1]
            done, sessions = len(history) - 1, self.sessions()
            for step in block_coordinate_descent(network, train.x, train.labels, self.settings, done):
                accuracy = step.network.accuracy(validation.x, validation.labels)
                network, history = step.network, [*history, step.record() | {"validation": accuracy}]
                if sessions[-1:] != [self.session]:
                    sessions = [*sessions, self.session]  # it has added something
                folder.save(step.number, network, {"history": history, "sessions": sessions})
                yield network, history[-1]
            notes = {"fingerprint": self.fingerprint, "history": history, "sessions": sessions}
            once(lambda: save_network(self.path, network, notes))
