"""Batches that ranks share: gradients, batch norms and training are those of one process."""

import numpy as np
import pytest
from simulated_ranks import SimulatedRanks

from refmg import RefmgError
from refmg.distributed import HostRoute, SerialCommunicator, Share, share_examples
from refmg.resnet import (
    ResNetArchitecture,
    ResNetTraining,
    evaluate_resnet,
    random_resnet,
    reestimate_statistics,
    train_resnet,
)
from refmg.resnet.batch_sums import BatchSums

EPS = np.finfo(float).eps
A = ResNetArchitecture((6, 6), classes=3, in_channels=1, blocks=(1, 1), widths=(2, 3))
M, BATCH = 23, 8  # primes and a last batch of 7: no number of ranks divides them all
# A number of a pass is a sum over at most M * 36 numbers, through 11 convolutions and norms whose deviations
# are near 1: 2 eps for each (Higham 2002, section 4.2), relative to the largest number of its array.
PASS = 2 * 11 * M * 36 * EPS
# Six steps, each of which amplifies what came before: images that change by 1 eps change the result by less
# than 100 eps (measured: 79).
STEPS = 100 * 6 * PASS


def test_a_step_has_three_sums_a_norm_and_one_for_the_gradient(monkeypatch):
    """What the model of scaling counts."""
    counted, summed = [], HostRoute.sum
    monkeypatch.setattr(HostRoute, "sum", lambda *given: counted.append(1) or summed(*given))
    x, labels = images()
    net = random_resnet(A, 0, "float64", "numpy")
    net.loss_and_gradient(share_examples(x, Share(SerialCommunicator())), labels)
    assert len(counted) == 3 * len(list(A.convolutions())) + 1


def images():
    rng = np.random.default_rng(0)
    # Far from 0, and other means on other ranks: variances about each rank's own mean are others.
    x = 5 + np.linspace(0, 3, M) + rng.standard_normal((1, 6, 6, M))
    return x, rng.integers(0, 3, M)


def shared(x, share):
    return x if share is None else share_examples(x, share)


def handed_out(x, part, share):
    """Return some examples, which may be fewer than ranks: those of all are not."""
    return x[..., part] if share is None else share_examples(x, share)[..., part]


def network():
    return random_resnet(A, 0, "float64", "numpy")


def one_pass(share):
    x, labels = images()
    found = network().loss_and_gradient(shared(x, share), labels)
    return {"loss": found.loss, "hits": found.hits} | found.gradient | found.statistics


def trained(share, cuts=(BATCH, 2 * BATCH)):
    x, labels = images()

    def batches(epoch):
        order = np.random.default_rng(epoch).permutation(M)
        return [(handed_out(x, part, share), labels[part]) for part in np.split(order, cuts)]

    *_, last = train_resnet(network(), batches, ResNetTraining(epochs=2, learning_rate=0.05))
    numbers = {"loss": last.loss, "accuracy": last.accuracy, "images": last.images}
    return numbers | last.net.parameters | last.net.statistics


def trained_with_few(share):
    """Batches of 11, 10 and 2: three ranks are one too many for the last."""
    return trained(share, (11, 21))


def evaluated_with_few(share):
    x, labels = images()
    found = evaluate_resnet(
        network(), [(handed_out(x, p, share), labels[p]) for p in (slice(22), slice(22, 23))]
    )
    return {"loss": found.loss, "accuracy": found.accuracy}


def evaluated(share):
    x, labels = images()
    parts = [(shared(x[..., i : i + BATCH], share), labels[i : i + BATCH]) for i in range(0, M, BATCH)]
    net = reestimate_statistics(network(), [part for part, _ in parts])
    found = evaluate_resnet(net, parts)
    return {"loss": found.loss, "accuracy": found.accuracy} | net.statistics


def on_ranks(size, function):
    found = SimulatedRanks(size).run(lambda comm: function(Share(comm)))
    for other in found[1:]:
        assert all(np.array_equal(found[0][name], other[name]) for name in found[0])
    return found[0]


def distance(one, other):
    """Return the largest difference, of each array relative to its largest number."""
    assert one.keys() == other.keys()
    sizes = {name: np.max(np.abs(one[name])) for name in one}
    # NaN where one is: max passes over it.
    return np.max([np.max(np.abs(one[n] - other[n])) / (sizes[n] or 1) for n in one])


CASES = [
    (one_pass, PASS),
    (trained, STEPS),
    (trained_with_few, STEPS),
    (evaluated, PASS),
    (evaluated_with_few, PASS),
]


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(("function", "bound"), CASES)
def test_ranks_give_what_one_process_gives(function, bound, size):
    assert distance(function(None), on_ranks(size, function)) <= bound


def test_ranks_that_normalise_by_themselves_are_noticed(monkeypatch):
    """Without sums of the moments every rank would have a batch norm of its own."""
    monkeypatch.setattr(BatchSums, "moments", lambda self, parts: self.backend.moments(parts[0]))

    def run(share):
        return network().loss_and_gradient(shared(images()[0], share), images()[1]).loss

    found = SimulatedRanks(2).run(lambda comm: run(Share(comm)))
    assert abs(found[0] - run(None)) > 1e6 * PASS


def test_few_examples_that_every_rank_adds_are_noticed(monkeypatch):
    """What all ranks compute must be counted once."""
    monkeypatch.setattr(
        BatchSums, "repeated", property(lambda self: False, lambda self, value: None), raising=False
    )
    found = on_ranks(2, evaluated_with_few)
    assert distance(evaluated_with_few(None), found) > 1e6 * PASS


def test_ranks_that_round_differently_have_the_first_ones_numbers():
    """Few examples are computed by every rank: of a backend that does not repeat every bit, not the same."""
    x, labels = images()

    def one(comm):
        found = network().loss_and_gradient(
            handed_out(x + 1e-3 * comm.rank, slice(2), Share(comm)), labels[:2]
        )
        return {"loss": found.loss, "hits": found.hits} | found.gradient | found.statistics

    first, *others = SimulatedRanks(3).run(one)
    assert all(np.array_equal(first[name], other[name]) for other in others for name in first)
    # The moments of one array and those of a union round differently.
    assert abs(first["loss"] - network().loss_and_gradient(x[..., :2], labels[:2]).loss) <= PASS


def test_a_pass_needs_three_messages_a_norm_and_one_more():
    ranks = SimulatedRanks(2)
    ranks.run(lambda comm: one_pass(Share(comm)))
    norms = len(list(A.convolutions()))
    # Mean, variance, and the two sums of the way back together; loss, hits and the gradient of all else.
    assert ranks.messages == {"sum": 3 * norms + 1}


def test_what_cannot_be_shared_is_refused():
    x, _ = images()

    def few(comm):
        two = share_examples(x, Share(comm))[..., :2]
        with pytest.raises(RefmgError, match="found 2 examples of a batch for 3 ranks"):
            reestimate_statistics(network(), [two])
        return True

    assert SimulatedRanks(3).run(few) == [True] * 3
    mixed = [x, share_examples(x, Share(SerialCommunicator()))]
    with pytest.raises(RefmgError, match="expected all alike"):
        reestimate_statistics(network(), mixed)
