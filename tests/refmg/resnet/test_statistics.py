"""Batch-norm statistics re-estimated: those of one training pass with all images in one batch."""

import numpy as np
import pytest

from refmg import RefmgError
from refmg.resnet import ResNetArchitecture, evaluate_resnet, random_resnet, reestimate_statistics

EPS = np.finfo(float).eps
A = ResNetArchitecture((9, 8), classes=3, in_channels=2, blocks=(1, 1), widths=(2, 3))
# Means and variances of some hundred numbers near 1, through ten layers.
ROUNDING = 1000 * EPS


def problem(backend, m=10):
    rng = np.random.default_rng(0)
    return random_resnet(A, rng, "float64", backend), 3 + 2 * rng.standard_normal((2, 9, 8, m))


def distance(ours, theirs):
    return max(np.abs(ours[name] - theirs[name]).max() for name in theirs)


def host(net):
    return {name: net.backend.to_numpy(a) for name, a in net.statistics.items()}


def test_they_are_those_of_one_training_pass_whatever_the_batches(backend):
    net, x = problem(backend)
    labels = np.zeros(x.shape[-1], dtype=int)
    found = net.loss_and_gradient(backend.asarray(x), labels, momentum=1.0)
    whole = {name: backend.to_numpy(a) for name, a in found.statistics.items()}
    parts = [x[..., :3], x[..., 3:4], x[..., 4:]]
    new = reestimate_statistics(net, parts)
    assert distance(host(new), whole) <= ROUNDING
    assert all(new.parameters[name] is p for name, p in net.parameters.items())
    # The mean of the batches' own statistics is another number: the test would notice it.
    naive = [net.loss_and_gradient(backend.asarray(p), labels[: p.shape[-1]], momentum=1.0) for p in parts]
    mean = {n: sum(backend.to_numpy(f.statistics[n]) for f in naive) / 3 for n in whole}
    assert distance(mean, whole) > 1e-2


def test_logits_then_are_those_of_training_up_to_the_unbiased_variance(backend):
    net, x = problem(backend)
    Y = backend.asarray(x)
    training = backend.to_numpy(net.loss_and_gradient(Y, np.zeros(10, dtype=int)).logits)
    new = backend.to_numpy(reestimate_statistics(net, [x]).logits(Y))
    before = backend.to_numpy(net.logits(Y))
    # The fewest numbers a channel are 10 * 2 * 1 in the last stage: sqrt(20 / 19) is 2.6 % away from 1.
    assert np.abs(new - training).max() <= 0.15 * np.abs(training).max()
    assert np.abs(before - training).max() > np.abs(new - training).max()


def test_what_cannot_be_estimated_is_refused():
    net, x = problem("numpy")
    with pytest.raises(RefmgError, match="no image"):
        reestimate_statistics(net, [])
    with pytest.raises(RefmgError, match="expected \\(2, 9, 8, examples\\)"):
        reestimate_statistics(net, [x[:, :8]])
    tiny = random_resnet(ResNetArchitecture((2, 2), blocks=(1,), widths=(2,)), 0, backend="numpy")
    with pytest.raises(RefmgError, match="one number a channel in bn1"):
        reestimate_statistics(tiny, [np.ones((3, 2, 2, 1))])


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_statistics_that_are_no_numbers_are_refused(backend, number):
    net, x = problem(backend)
    x[0, 1, 2, 3] = number
    with (
        pytest.raises(RefmgError, match=r"found bn1\.running_\w+ that is not finite"),
        np.errstate(all="ignore"),
    ):
        reestimate_statistics(net, [x])


def test_evaluation_is_the_mean_over_all_images_whatever_the_batches(backend):
    net, x = problem(backend)
    labels = np.arange(10) % 3
    one = evaluate_resnet(net, [(x, labels)])
    two = evaluate_resnet(net, [(x[..., :7], labels[:7]), (x[..., 7:], labels[7:])])
    assert abs(one.loss - two.loss) <= ROUNDING * one.loss
    logits = backend.to_numpy(net.logits(backend.asarray(x)))
    assert one.accuracy == two.accuracy == np.mean(logits.argmax(axis=0) == labels)
    with pytest.raises(RefmgError, match="no batch"):
        evaluate_resnet(net, [])
