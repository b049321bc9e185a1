"""One stage, saved after every epoch, that goes on where it was interrupted."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from refmg.distributed import share_examples
from refmg.optimization import RuleState
from refmg.resnet import (
    ResNet,
    ResNetEpoch,
    ResNetSwitch,
    ResNetTransferOptions,
    evaluate_resnet,
    random_resnet,
    resnet_from_arrays,
    train_resnet,
    transfer_resnet,
)
from refmg.resnet.training import sgd_step
from refmg_validation.imagenet10.images import LevelImages
from refmg_validation.imagenet10.presets import ImageNetPreset
from refmg_validation.imagenet10.stages import Stage
from refmg_validation.imagenet10.state_file import read_state, write_state
from refmg_validation.ranks import check_same, once, ranks, share

Record = dict[str, Any]
Told = Callable[[Record], None]
Source = Callable[[], ResNet]
STATE, BEST = "state.", "best."


@dataclass(frozen=True)
class SavedStage:
    """A stage with its files: ``<name>.state`` while it is trained, then ``<name>.safetensors``.

    Ranks may train it together; the first one reads and writes.

    Parameters
    ----------
    stage : Stage
    preset : ImageNetPreset
    folder : pathlib.Path
        Of the seed.
    fingerprint : dict
        All that decides the result.
    session : dict
        Where what this process adds comes from.
    """

    stage: Stage
    preset: ImageNetPreset
    folder: Path
    fingerprint: Record
    session: Record

    @property
    def file(self) -> Path:
        """The network that was taken, with all records."""
        return self.folder / f"{self.stage.file}.safetensors"

    @property
    def state(self) -> Path:
        """The state after the last epoch."""
        return self.folder / f"{self.stage.file}.state"

    def has_begun(self) -> bool:
        """Return whether there is anything of this stage."""
        return self.file.exists() or self.state.exists()

    def network(self) -> ResNet:
        """Return the network that was taken, as the rank that asks finds it in the file.

        Raises
        ------
        RefmgError
            If the file is missing, damaged, or of a run with other settings.
        """
        arrays, _ = read_state(self.file, self._fingerprint())
        return resnet_from_arrays(self._architecture, arrays)

    def notes(self) -> Record:
        """Return ``"records"``, ``"sessions"``, ``"test"`` and ``"test_loss"``; as :meth:`network` else."""
        return read_state(self.file, self._fingerprint())[1]

    def go(self, before: Source | None, images: LevelImages, told: Told) -> None:
        """Train to the end, or go on from where it was interrupted.

        Parameters
        ----------
        before : callable, optional
            Reads the network of the stage where this one begins; only the first rank needs it, and only once.
        images : LevelImages
            On this stage's grid.
        told : callable
            Is given every record once it is saved; what it raises stops the training.
        """
        warm_up(random_resnet(self._architecture, 0, self.preset.dtype), images)
        _read_ahead(images)
        state, best, notes = self._begun(before, images)
        monitor = _Monitor(images)
        trained, clock = train_resnet(state, images.epoch, self.preset.training, monitor), _Clock()
        for state in trained:
            # With what early stopping costs, and without what is only reported.
            seconds = clock.seconds()
            _check_agreement(state)
            if state.stale == 0:
                best = state.net
            record = {"kind": "epoch"} | seconds | _shown(state) | _validated(state.net, images)
            notes = notes | {
                "records": [*notes["records"], record],
                "sessions": _joined(notes["sessions"], self.session),
            }
            once(partial(self._save, state, best, notes))
            told(record)
            clock = _Clock()
        found = evaluate_resnet(best, images.plain("test"))
        once(partial(self._finish, best, notes | {"test": found.accuracy, "test_loss": found.loss}))

    @property
    def _architecture(self) -> Any:
        return self.preset.architecture.on((self.stage.size,) * 2)

    def _fingerprint(self) -> Record:
        return self.fingerprint | {"stage": [stage.name for stage in self.stage.chain()]}

    def _begun(self, before: Source | None, images: LevelImages) -> tuple[ResNetEpoch, ResNet, Record]:
        """Return the state to go on from, the best network so far, and the notes."""
        saved = once(lambda: read_state(self.state, self._fingerprint()) if self.state.exists() else None)
        if saved is not None:
            arrays, notes = saved
            best = resnet_from_arrays(self._architecture, _below(BEST, arrays))
            return ResNetEpoch.from_arrays(self._architecture, _below(STATE, arrays)), best, notes
        net, record = self._start(before, images)
        record |= {name: record[name] + images.reading[name] for name in images.reading}
        notes = {"records": [record | _validated(net, images)], "sessions": []}
        return ResNetEpoch(net), net, notes

    def _start(self, before: Source | None, images: LevelImages) -> tuple[ResNet, Record]:
        way, size = self.stage.way, self.stage.size
        if way is None or before is None:
            net = random_resnet(self._architecture, self.preset.seed, self.preset.dtype)
            return net, {"kind": "start", "seconds": 0.0, "processor": 0.0}
        options = ResNetTransferOptions(
            batch_norm=way.batch_norm, batch_size=self.preset.batch_size, strided=way.strided
        )
        source = list[ResNet]()  # of the first rank; the others have no use for it
        once(lambda: source.append(before()))

        def moved() -> tuple[ResNet, ResNetSwitch]:
            (net,) = source
            found = transfer_resnet(net, (size, size), way.transfer, images.unlabelled(), options)
            net.backend.synchronize()
            return found

        clock = _Clock()
        net, switch = once(moved)  # fitted to arrays: the first rank sends what it found
        return net, {"kind": "switch", "switch": switch.record()} | clock.seconds()

    def _save(self, state: ResNetEpoch, best: ResNet, notes: Record) -> None:
        arrays = {STATE + name: array for name, array in state.as_arrays().items()}
        arrays |= {BEST + name: array for name, array in best.as_arrays().items()}
        write_state(self.state, arrays, notes, self._fingerprint())

    def _finish(self, best: ResNet, notes: Record) -> None:
        write_state(self.file, best.as_arrays(), notes, self._fingerprint())
        with suppress(OSError):
            self.state.unlink()


def warm_up(net: ResNet, images: LevelImages) -> None:
    """Take two steps on noise, not counted: backends compile kernels when they first meet them.

    Two, as the first step of SGD has no momentum yet.
    """
    m, n = images.preset.batch_size, images.size
    noise = np.random.default_rng(0).normal(size=(3, n, n, m)).astype(images.preset.dtype)
    labels, how = np.arange(m) % net.architecture.classes, share()
    x = net.backend.asarray(noise, dtype=images.preset.dtype) if how is None else share_examples(noise, how)
    training, state = images.preset.training, RuleState()
    for _ in range(2):
        found = net.loss_and_gradient(x, labels, storage=training.storage)
        parameters, state = sgd_step(net, found.gradient, state, training, 0)
        net = net.with_arrays(parameters, found.statistics)
    evaluate_resnet(net, [(x, labels)])
    net.backend.synchronize()


def _read_ahead(images: LevelImages) -> None:
    """Read a grid's images, once; what it took, coarse means among it, is every path's that trains there."""
    if not images.reading:
        clock = _Clock()
        images.read_ahead()
        images.reading = clock.seconds()


class _Clock:
    """Seconds of the clock and of all processors since it was made: the latter hardly notice other work.

    Those of ranks that train together are added.
    """

    def __init__(self) -> None:
        self.begin = perf_counter(), process_time()

    def seconds(self) -> Record:
        wall, processor = self.begin
        own = perf_counter() - wall, process_time() - processor
        return {"seconds": own[0], "processor": sum(ranks().gather(own[1]))}


class _Monitor:
    """What early stopping looks at: the loss on images that are for nothing else."""

    def __init__(self, images: LevelImages) -> None:
        self.images = images

    def __call__(self, net: ResNet) -> float:
        return evaluate_resnet(net, self.images.plain("stopping")).loss


def _check_agreement(state: ResNetEpoch) -> None:
    """Refuse to go on when ranks that train together differ, in the network or in what stops them."""
    if ranks().size > 1:
        check_same(replace(state, seconds=0.0).as_arrays().values())


def _shown(state: ResNetEpoch) -> Record:
    names = ("epoch", "loss", "accuracy", "monitored", "stale", "images", "reason")
    return {name: getattr(state, name) for name in names}


def _validated(net: ResNet, images: LevelImages) -> Record:
    found = evaluate_resnet(net, images.plain("validation"))
    # An unchanged network may overflow on images that are new to its statistics.
    loss = found.loss if isfinite(found.loss) else None
    return {"validation_loss": loss, "validation": found.accuracy}


def _joined(sessions: list[Record], session: Record) -> list[Record]:
    return sessions if session in sessions else [*sessions, session]


def _below(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def _reduced(net: ResNet) -> tuple[Any, ...]:
    return resnet_from_arrays, (net.architecture, net.as_arrays(), net.backend.name)


# Backends hold locks and libraries: a network travels as arrays and the name of its backend.
copyreg.pickle(ResNet, _reduced)  # type: ignore[arg-type]
