"""Training: resumed to the last bit, stopped by the paper's rule, schedules, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from refmg import RefmgError
from refmg.resnet import ResNetArchitecture, ResNetEpoch, ResNetTraining, random_resnet, train_resnet
from refmg.resnet.training import judged

A = ResNetArchitecture((6, 6), classes=2, in_channels=1, blocks=(1, 1), widths=(2, 4), opening_pool="none")


def images(m=12):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 6, 6, m)).astype("float32")
    return x, (x.mean(axis=(0, 1, 2)) > 0).astype(int)


def batches(epoch):
    """Another order every epoch."""
    x, labels = images()
    order = np.random.default_rng((7, epoch)).permutation(len(labels))
    return [(x[..., part], labels[part]) for part in np.split(order, 3)]


def bits(state):
    return {name: a.tobytes() for name, a in state.as_arrays().items() if name != "progress"}


def progress(state):
    return {name: value for name, value in state.record().items() if name != "seconds"}


def test_a_resumed_run_is_the_same_to_the_last_bit(backend):
    settings = ResNetTraining(epochs=4, schedule="cosine")
    whole = list(train_resnet(random_resnet(A, 0, backend=backend), batches, settings))
    assert [s.epoch for s in whole] == [0, 1, 2, 3]
    saved = {name: a.copy() for name, a in whole[1].as_arrays().items()}
    again = ResNetEpoch.from_arrays(A, saved, backend)
    resumed = list(train_resnet(again, batches, settings))
    assert [s.epoch for s in resumed] == [2, 3]
    assert bits(resumed[-1]) == bits(whole[-1])
    assert [progress(s) for s in resumed] == [progress(s) for s in whole[2:]]
    # Without its momentum it is another run: the comparison would notice.
    bare = replace(again, optimizer=type(again.optimizer)())
    assert bits(list(train_resnet(bare, batches, settings))[-1]) != bits(whole[-1])


def test_training_lowers_the_loss_and_says_why_it_ends(backend):
    states = list(train_resnet(random_resnet(A, 0, backend=backend), batches, ResNetTraining(epochs=6)))
    assert states[-1].loss < 0.8 * states[0].loss
    assert (states[-1].reason, states[-1].finished) == ("6 epochs", True)
    assert not any(s.finished for s in states[:-1])
    assert {s.images for s in states} == {12}
    assert list(train_resnet(states[-1], batches, ResNetTraining(epochs=9))) == []


def test_early_stopping_counts_epochs_without_improvement():
    values = iter([3.0, 2.0, 2.5, 2.0, 1.0, 1.5, 1.0, 1.25, 0.0])
    settings = ResNetTraining(epochs=20, patience=3)
    net = random_resnet(A, 0, backend="numpy")
    states = list(train_resnet(net, batches, settings, monitor=lambda net: next(values)))
    assert [s.stale for s in states] == [0, 0, 1, 2, 0, 1, 2, 3]
    assert states[-1].reason == "3 epochs without improvement"
    assert states[-1].best == 1.0
    assert next(values) == 0.0  # never asked for


def test_the_epochs_own_loss_is_looked_at_by_default():
    states = list(train_resnet(random_resnet(A, 0, backend="numpy"), batches, ResNetTraining(epochs=2)))
    assert [s.monitored for s in states] == [s.loss for s in states]


def test_mixed_precision_trains_as_well_and_is_not_the_same():
    net = random_resnet(A, 0, backend="numpy")
    full, mixed = (
        list(train_resnet(net, batches, ResNetTraining(epochs=3, precision=p, learning_rate=0.02)))
        for p in ("full", "mixed")
    )
    assert bits(full[-1]) != bits(mixed[-1])
    # Nine steps with gradients that are off by some 2^-11.
    assert abs(full[-1].loss - mixed[-1].loss) <= 2**-5 * full[-1].loss


def test_schedules():
    cosine = ResNetTraining(schedule="cosine", epochs=4, learning_rate=1.0)
    assert np.allclose(
        [cosine.rate(e) for e in range(5)], [1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2, 0]
    )
    assert {ResNetTraining().rate(e) for e in range(100)} == {0.1}


def test_settings_go_there_and_back():
    settings = ResNetTraining(schedule="steps", milestones=[3, 5], factor=0.2, patience=4)
    assert ResNetTraining.from_dict(settings.as_dict()) == settings
    with pytest.raises(RefmgError, match=r"unknown setting 'patiense' \(did you mean 'patience'\?\)"):
        ResNetTraining.from_dict({"patiense": 3})


WRONG = [
    {"learning_rate": 0.0},
    {"learning_rate": "0.1"},
    {"milestones": (1.5,)},
    {"milestones": 3},
    {"momentum": 1.0},
    {"weight_decay": -1e-4},
    {"factor": 0.0},
    {"statistics_momentum": 0.0},
    {"schedule": "linear"},
    {"precision": "half"},
    {"epochs": 0},
    {"patience": 2.5},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: next(iter(w)))
def test_what_is_no_method_is_refused(wrong):
    with pytest.raises(RefmgError, match=next(iter(wrong))):
        ResNetTraining(**wrong)


def test_a_loss_that_is_not_finite_ends_the_run_with_one_line():
    net = random_resnet(A, 0, backend="numpy")
    state = ResNetEpoch(net, epoch=4, loss=float("nan"), monitored=float("nan"))
    with pytest.raises(RefmgError, match=r"found the loss nan .* in epoch 4"):
        judged(state, ResNetTraining())
    with pytest.raises(RefmgError, match="no batch in epoch 0"):
        list(train_resnet(net, lambda epoch: [], ResNetTraining()))


def test_a_state_that_is_not_whole_is_refused():
    state = ResNetEpoch(random_resnet(A, 0, backend="numpy")).as_arrays()
    for name, message in (("progress", "'progress'"), ("net.conv1.weight", "'conv1.weight'")):
        with pytest.raises(RefmgError, match=message):
            ResNetEpoch.from_arrays(A, {k: v for k, v in state.items() if k != name}, "numpy")
