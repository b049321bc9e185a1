"""Training a ResNet: SGD with momentum and weight decay, a schedule, early stopping, resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import isfinite
from time import perf_counter
from types import ModuleType
from typing import Any

from refmg.distributed import share_of
from refmg.evaluation import Evaluation, Totals, correct
from refmg.losses import SoftmaxCrossEntropy
from refmg.optimization.rules import RuleState
from refmg.resnet.batch_part import part_of_batch
from refmg.resnet.blocks import each
from refmg.resnet.epoch import ResNetEpoch
from refmg.resnet.network import Arrays, ResNet
from refmg.resnet.settings import ResNetTraining
from refmg_backends import RefmgError
from refmg_backends.backend import Array

# Images (in_channels, n_1, n_2, m), host, backend or shared out, and labels of all of them: integers (m,) or
# one-hot (classes, m).
LabelledBatch = tuple[Any, Any]


def train_resnet(
    start: ResNet | ResNetEpoch,
    batches: Callable[[int], Iterable[LabelledBatch]],
    settings: ResNetTraining,
    monitor: Callable[[ResNet], float] | None = None,
) -> Iterator[ResNetEpoch]:
    """Train, and yield the state after every epoch until training is finished.

    Parameters
    ----------
    start : ResNet or ResNetEpoch
        A network, or the state of the last finished epoch of an interrupted run: the following epochs are
        the same, to the last bit, as without interruption.
    batches : callable
        From the number of an epoch to its batches. Order and augmentation must depend on that number (and
        a seed of the caller's) alone, for the sake of resumed runs. Batches that ranks share
        (:func:`refmg.distributed.share_examples`) give every rank the network of one process: up to rounding,
        or to the last bit where their share is deterministic.
    settings : ResNetTraining
    monitor : callable, optional
        From the network after an epoch to what early stopping shall look at, lower is better: the epoch's
        own training loss by default. Never hand in a validation split that shall stay unseen.

    Yields
    ------
    ResNetEpoch
        One an epoch. A finished state yields nothing more.

    Raises
    ------
    RefmgError
        If an epoch has no batch, shapes do not fit, or the loss is not finite.

    Notes
    -----
    Momentum is PyTorch's: ``v = momentum v + g + weight_decay p``, ``p = p - rate v``. The first ``v`` is
    the first ``g + weight_decay p``.

    Examples
    --------
    >>> import numpy as np
    >>> from refmg.resnet import ResNetArchitecture, random_resnet
    >>> net = random_resnet(ResNetArchitecture((8, 8), 2, 1, blocks=(1,), widths=(4,)), 0, backend="numpy")
    >>> x = np.random.default_rng(0).standard_normal((1, 8, 8, 16)).astype("float32")
    >>> labels = (x.mean(axis=(0, 1, 2)) > 0).astype(int)
    >>> states = list(train_resnet(net, lambda epoch: [(x, labels)], ResNetTraining(epochs=5)))
    >>> states[-1].loss < states[0].loss, states[-1].reason
    (True, '5 epochs')
    """
    state = start if isinstance(start, ResNetEpoch) else ResNetEpoch(start)
    while not state.finished and state.epoch + 1 < settings.epochs:
        begin = perf_counter()
        state = _trained(state, batches(state.epoch + 1), settings)
        state = replace(state, seconds=perf_counter() - begin)
        monitored = state.loss if monitor is None else float(monitor(state.net))
        state = judged(replace(state, monitored=monitored), settings)
        yield state


def judged(state: ResNetEpoch, settings: ResNetTraining) -> ResNetEpoch:
    """Return the state of an epoch with early stopping's verdict on what was monitored.

    Raises
    ------
    RefmgError
        If loss or monitored number are not finite.
    """
    if not (isfinite(state.loss) and isfinite(state.monitored)):
        raise RefmgError(
            f"found the loss {state.loss} (monitored: {state.monitored}) in epoch {state.epoch}; expected a "
            "finite one: lower the learning rate, or look for NaN in the images"
        )
    better = state.monitored < state.best
    stale = 0 if better else state.stale + 1
    reason = f"{stale} epochs without improvement" if stale >= settings.patience else ""
    if not reason and state.epoch + 1 >= settings.epochs:
        reason = f"{settings.epochs} epochs"
    return replace(state, best=min(state.best, state.monitored), stale=stale, reason=reason)


def _trained(state: ResNetEpoch, batches: Iterable[LabelledBatch], settings: ResNetTraining) -> ResNetEpoch:
    """Return the state after one epoch's steps; the losses are read once, at its end."""
    net, optimizer, images = state.net, state.optimizer, 0
    totals, epoch = Totals(net.backend), state.epoch + 1
    for x, labels in batches:
        Y = _moved(net, x)
        found = net.loss_and_gradient(Y, labels, settings.statistics_momentum, settings.storage)
        totals.add(found.loss * Y.shape[-1], found.hits)
        parameters, optimizer = sgd_step(net, found.gradient, optimizer, settings, epoch)
        net, images = net.with_arrays(parameters, found.statistics), images + Y.shape[-1]
    if not images:
        raise RefmgError(f"found no batch in epoch {epoch}; expected training images")
    mean = totals.evaluation(images, net.backend.xp.zeros(()))
    return replace(
        state,
        net=net,
        epoch=epoch,
        optimizer=optimizer,
        loss=mean.loss,
        accuracy=mean.accuracy,
        images=images,
    )


def _moved(net: ResNet, x: Any) -> Any:
    """Return images on the backend; of those that are shared out each rank moves its own, later."""
    return net.backend.asarray(x, dtype=net.dtype) if share_of(x) is None else x


def sgd_step(
    net: ResNet, gradient: Arrays, state: RuleState, settings: ResNetTraining, epoch: int
) -> tuple[Arrays, RuleState]:
    """Return the parameters after one step of SGD, and what momentum remembers.

    Parameters
    ----------
    net : ResNet
    gradient : dict of str to array
    state : RuleState
    settings : ResNetTraining
    epoch : int
        Gives the learning rate.
    """
    names = list(net.architecture.parameter_shapes)
    given, slopes = ([arrays[name] for name in names] for arrays in (net.parameters, gradient))
    velocity = state.averages[0] if state.averages else None
    numbers = settings.rate(epoch), settings.momentum, settings.weight_decay
    moved, velocity = net.backend.momentum_step(given, slopes, velocity, *numbers)
    return dict(zip(names, moved, strict=True)), RuleState((velocity,), state.steps + 1)


def evaluate_resnet(net: ResNet, batches: Iterable[LabelledBatch]) -> Evaluation:
    """Return mean loss and accuracy in evaluation mode.

    Parameters
    ----------
    net : ResNet
    batches : iterable of pairs of images and labels
        As for :func:`train_resnet`.

    Returns
    -------
    Evaluation
        Its regulariser is 0.

    Raises
    ------
    RefmgError
        If there is no batch, or shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from refmg.resnet import ResNetArchitecture, random_resnet
    >>> net = random_resnet(ResNetArchitecture((8, 8), blocks=(1,), widths=(2,)), 0, backend="numpy")
    >>> zeros = {name: 0 * p for name, p in net.parameters.items()}
    >>> found = evaluate_resnet(net.with_arrays(zeros), [(np.ones((3, 8, 8, 2)), [0, 1])])
    >>> round(found.loss, 6), found.accuracy
    (2.302585, 0.5)
    """
    totals, images, xp = Totals(net.backend), 0, net.backend.xp
    for x, labels in batches:
        part = part_of_batch(net.backend, _moved(net, x), net.dtype)
        targets = part.of(net.targets(labels, part.sums.examples))
        own = each(_scored, xp, net.logits(part.images), targets)
        totals.add(*part.sums.total(*own))
        images += part.sums.examples
    if not images:
        raise RefmgError("found no batch; expected images to evaluate on")
    return totals.evaluation(images, xp.zeros(()))


def _scored(xp: ModuleType, logits: Array, targets: Array) -> tuple[Array, Array]:
    """Return loss and hits, both summed over the examples."""
    return SoftmaxCrossEntropy().value(xp, logits, targets), correct(xp, logits, targets)
