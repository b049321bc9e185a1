"""One path, with a checkpoint after every record, that goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from refmg import Network, load_network, random_network, save_network
from refmg.multilevel import ImagePyramid, LevelSwitch, Position, Scores, evaluate, multilevel_descent
from refmg.optimization import RuleState
from refmg_backends import RefmgError
from refmg_validation.damage import told_as_damage
from refmg_validation.multilevel.paths import TrainingPath
from refmg_validation.multilevel.warm_up import warm_up
from refmg_validation.ranks import once
from refmg_validation.runs import RunFolder, check_fingerprint, checkpoint_steps

Record = dict[str, Any]
Told = Callable[[Record], None]


@dataclass(frozen=True)
class FinishedPath:
    """The records of a path that has ended, and the sessions that made them: one a process."""

    records: list[Record]
    sessions: list[Record]


@dataclass(frozen=True)
class SavedPath:
    """The training along one path: a checkpoint after every record, then the finished network.

    Parameters
    ----------
    folder : pathlib.Path
        Of the checkpoints; the finished network is the ``safetensors`` file of the same name.
    path : TrainingPath
        What to train.
    seed : int
        Of the network at the start.
    dtype : str
        Precision.
    fingerprint : dict
        All that decides the result. What has another one is refused, not overwritten.
    session : dict
        Where what this process adds comes from; saved with every checkpoint and with the network.
    """

    folder: Path
    path: TrainingPath
    seed: int
    dtype: str
    fingerprint: dict[str, Any]
    session: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The finished network, with its records."""
        return self.folder.with_name(f"{self.folder.name}.safetensors")

    def go(self, pyramids: dict[str, ImagePyramid], told: Told) -> list[Record]:
        """Train to the end, or go on from where a run was interrupted.

        Parameters
        ----------
        pyramids : dict of ImagePyramid
            ``"train"``, ``"validation"`` and ``"test"``.
        told : callable
            Is given every record once it is saved, and of an interrupted run the last of each level.

        Returns
        -------
        list of dict
            All records; ``"kind"`` is ``"start"``, ``"iteration"``, ``"switch"`` or ``"end"``.

        Raises
        ------
        RefmgError
            If what is there belongs to another run, is damaged, or is in use.
        """
        if self.is_finished():
            records = self.finished().records
            _tell_last(records, told)
            return records
        with RunFolder(self.folder, self.fingerprint) as folder:
            network, records, sessions = self._trained(folder, pyramids, told)
        x, labels = pyramids["test"].on(network.architecture.shape), pyramids["test"].labels
        records = [*records, {"kind": "end", "test": network.accuracy(x, labels)}]
        notes = {"fingerprint": self.fingerprint, "records": records, "sessions": sessions}
        once(lambda: save_network(self.file, network, notes))
        return records

    def has_begun(self) -> bool:
        """Return whether there is anything of this path."""
        return once(lambda: self.file.exists() or bool(checkpoint_steps(self.folder)))

    def is_finished(self) -> bool:
        """Return whether the finished network is there."""
        return once(self.file.exists)

    def finished(self) -> FinishedPath:
        """Return what the finished network's file says.

        Raises
        ------
        RefmgError
            If it is missing, damaged, or of a run with other settings.
        """
        return once(self._finished)

    def _finished(self) -> FinishedPath:
        try:
            _, notes = load_network(self.file)
        except RefmgError as error:
            raise RefmgError(f"{error}; delete it to go on from the last checkpoint") from error
        check_fingerprint(self.file, notes.get("fingerprint", {}), self.fingerprint)
        # Files from before sessions were kept have none.
        with told_as_damage(f"{self.file} is damaged", "delete it to go on from the last checkpoint"):
            return FinishedPath(list(notes["records"]), list(notes.get("sessions", [])))

    def _trained(
        self, folder: RunFolder, pyramids: dict[str, ImagePyramid], told: Told
    ) -> tuple[Network, list[Record], list[Record]]:
        start = random_network(self.path.start, self.seed, dtype=self.dtype)
        position, records, sessions = _resumed(folder)
        _tell_last(records, told)
        records = records or [self._start(start, pyramids)]
        images, validation, own = pyramids["train"], pyramids["validation"], [*sessions, self.session]
        for architecture, level in zip(self.path.architectures, self.path.levels, strict=True):
            warm_up(architecture, level.settings, self.dtype)
        for found in multilevel_descent(start, self.path.levels, images, validation, position):
            kind = "switch" if isinstance(found, LevelSwitch) else "iteration"
            records, position = [*records, {"kind": kind} | found.record()], found.position
            sessions = own  # it has added something
            _save(folder, position, {"records": records, "sessions": sessions})
            told(records[-1])
        assert position is not None  # a path has a level, and a level an iteration
        return position.network, records, sessions

    def _start(self, network: Network, pyramids: dict[str, ImagePyramid]) -> Record:
        level = self.path.levels[0]
        train, validation = (evaluate(network, level, pyramids[name]) for name in ("train", "validation"))
        return {"kind": "start", "after": asdict(Scores.of(train, validation))}


def _save(folder: RunFolder, position: Position, notes: dict[str, Any]) -> None:
    where = {"level": position.level, "done": position.done}
    state, backend = position.optimizer, position.network.backend
    arrays = None if state is None else state.as_arrays(backend)
    folder.save(len(notes["records"]) - 1, position.network, {"position": where} | notes, arrays)


def _resumed(folder: RunFolder) -> tuple[Position | None, list[Record], list[Record]]:
    found = folder.latest()
    if found is None:
        return None, [], []
    with told_as_damage(
        f"the last checkpoint in {folder.path} is damaged", "delete it to go on from the one before"
    ):
        state = RuleState.from_arrays(dict(found.arrays), found.network.backend) if found.arrays else None
        position = Position(**found.notes["position"], network=found.network, optimizer=state)
        return position, list(found.notes["records"]), list(found.notes.get("sessions", []))


def _tell_last(records: list[Record], told: Told) -> None:
    last = {r["level"]: r for r in records if r["kind"] == "iteration"}
    for record in last.values():
        told(record | {"saved": True})
