"""The folder of one run: locked while it runs, with its last checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from refmg import Network
from refmg_backends import Backend, RefmgError
from refmg_validation.ranks import check_agreement, once
from refmg_validation.runs.checkpoint import (
    Checkpoint,
    checkpoint_path,
    checkpoint_steps,
    read_checkpoint,
    write_checkpoint,
)
from refmg_validation.runs.fingerprint import check_fingerprint
from refmg_validation.runs.lock import FolderLock


class RunFolder:
    """Where one run keeps its checkpoints; a context manager that holds the folder's lock.

    A checkpoint's file is whole or absent whenever the process is killed, so a run that saves after
    every iteration loses one at the most.

    Parameters
    ----------
    path : path
        The folder.
    fingerprint : dict
        All that decides the result, as JSON can hold it; a folder with another one is refused.
    keep : int
        How many of the last checkpoints stay.

    Raises
    ------
    RefmgError
        If `keep` is below 1; on entering, if another run holds the folder, the settings there are
        others, or the last checkpoint cannot be used.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from refmg import Architecture, random_network
    >>> with RunFolder(mkdtemp(), {"seed": 0}) as run:
    ...     for step in range(5):
    ...         run.save(step, random_network(Architecture((4, 4)), step), {"loss": 1 / (1 + step)})
    >>> run.latest().step, run.latest().notes, run.steps()
    (4, {'loss': 0.2}, [2, 3, 4])
    """

    def __init__(self, path: str | Path, fingerprint: dict[str, Any], keep: int = 3) -> None:
        if keep < 1:
            raise RefmgError(f"found keep={keep}; expected at least one checkpoint to stay")
        self.path, self.fingerprint, self.keep = Path(path), fingerprint, keep
        self._lock = FolderLock(path)

    def __enter__(self) -> RunFolder:
        """Take the folder, if its run is this one."""
        self._lock.__enter__()
        try:
            self.latest()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the folder back."""
        self._lock.__exit__(kind, error, trace)

    def steps(self) -> list[int]:
        """Return the steps that have a checkpoint, rising; none of them is read."""
        return checkpoint_steps(self.path)

    def save(
        self,
        step: int,
        network: Network,
        notes: dict[str, Any],
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Save the state after a step, then drop checkpoints beyond the last ones.

        Parameters
        ----------
        step : int
            Above that of every checkpoint there.
        network : Network
            The parameters.
        notes : dict
            What else is needed to go on, as JSON can hold it.
        arrays : mapping of ndarray, optional
            And as arrays of the host.

        Raises
        ------
        RefmgError
            If the folder is not held, the step does not come last, or the disk is full; the former
            checkpoints are unharmed.
        """
        check_agreement(network)
        once(lambda: self._save(Checkpoint(step, network, notes, dict(arrays or {}))))

    def _save(self, checkpoint: Checkpoint) -> None:
        step = checkpoint.step
        if not self._lock.held:
            raise RefmgError(f"{self.path} is not held by this run; expected 'with RunFolder(...) as run'")
        last = max(self.steps(), default=-1)
        if step <= last:
            raise RefmgError(f"{self.path}: found step {step}; expected one above the last saved, {last}")
        write_checkpoint(self.path, checkpoint, self.fingerprint)
        for old in self.steps()[: -self.keep]:
            checkpoint_path(self.path, old).unlink(missing_ok=True)

    def latest(self, backend: Backend | str | None = None) -> Checkpoint | None:
        """Return the last checkpoint, or None if there is none; the folder need not be held.

        Parameters
        ----------
        backend : Backend or str, optional
            Where the network's arrays shall live; ``REFMG_BACKEND``, else NumPy.

        Raises
        ------
        RefmgError
            If it is damaged or of another version: the message names the last good one. An older
            checkpoint is never taken instead without being asked for. Also if its settings are others.
        """
        return once(lambda: self._latest(backend))

    def _latest(self, backend: Backend | str | None) -> Checkpoint | None:
        steps = self.steps()
        if not steps:
            return None
        try:
            checkpoint, found = read_checkpoint(self.path, steps[-1], backend)
        except RefmgError as error:
            raise RefmgError(f"{error}; {self._way_out(steps)}") from error
        check_fingerprint(self.path, found, self.fingerprint)
        return checkpoint

    def _way_out(self, steps: list[int]) -> str:
        """Say which files to delete to go on from the last good checkpoint."""
        bad = []
        for step in reversed(steps):
            try:
                read_checkpoint(self.path, step)
            except RefmgError:
                bad.append(checkpoint_path(self.path, step).name)
                continue
            good = checkpoint_path(self.path, step).name
            return f"the last good one is {good}: delete {' and '.join(bad)} to go on from there"
        return f"no older one in {self.path} is good: delete {' and '.join(bad)} to start again"
