"""Calibration goes through its images in batches: the same result, in memory that has a bound."""

import tracemalloc

import numpy as np
import pytest
from simulated_ranks import SimulatedRanks

from refmg import Architecture, Calibration, random_network, transfer_network
from refmg.classifier import Classifier
from refmg.distributed import SerialCommunicator, Share, SharedExamples, share_examples

EPS = np.finfo(np.float64).eps
BATCH, EVERYTHING = 8, 2**30
CHECKED = 128  # images at a time, whether they are finite
every_direction = pytest.mark.parametrize(("old", "new"), [((8, 8), (4, 4)), ((4, 4), (8, 8))])


def some_network(shape=(8, 8), **settings):
    a = Architecture(shape, **{"channels": 4, "classes": 3} | settings)
    net, rng = random_network(a, 0, backend="numpy"), np.random.default_rng(0)
    return net.with_classifier(Classifier(rng.standard_normal(a.classifier_shape), rng.standard_normal(3)))


def random_images(m, shape=(8, 8)):
    return np.random.default_rng(1).standard_normal((1, *shape, m))


def parameters(network):
    return [*vars(network.controls).values(), *vars(network.classifier).values()]


def moved(old, new, images, kept_bytes, batch_size=BATCH, **settings):
    how = Calibration(kept_bytes=kept_bytes, batch_size=batch_size)
    return parameters(transfer_network(some_network(old, **settings), new, how, images=images))


SETTINGS = [
    {},
    {"integrator": "rk4"},  # its steps see the next control as well, while that is the prior's
    {"layer": "hamiltonian", "integrator": "verlet"},
    {"layers": 4, "control_nodes": 2},
]


# Fewer images than the classifier has weights, and more, for which the classifier alone differs.
@every_direction
@pytest.mark.parametrize(
    ("m", "settings"),
    [(m, one) if m == 30 or not one else pytest.param(m, one, marks=pytest.mark.slow)
     for m in (30, 300) for one in SETTINGS],
    ids=str,
)  # fmt: skip
def test_what_is_kept_changes_no_bit(old, new, m, settings):
    x = random_images(m)
    bound, kept, some = (moved(old, new, x, room, **settings) for room in (0, EVERYTHING, 40_000))
    for a, b, c in zip(bound, kept, some, strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)
    assert not np.array_equal(bound[1], parameters(some_network(old, **settings))[1])


@every_direction
@pytest.mark.parametrize("m", [30, 300])
def test_batches_give_what_all_images_at_once_give(old, new, m):
    x, network = random_images(m), some_network(old)
    streamed, whole = moved(old, new, x, 0), moved(old, new, x, EVERYTHING, m)
    # Sums of `rows` products in another order: rows eps each, times the condition of normal equations of n
    # unknowns with a ridge of 1e-2 of the mean diagonal, at most 1 + n / ridge; layer after layer.
    rows, unknowns = 64 * m, max(4 * 9, 4 * 64)
    bound = (network.architecture.layers + 2) * rows * EPS * (1 + unknowns / 1e-2)
    assert bound < 1e-6
    for a, b in zip(streamed, whole, strict=True):
        assert np.abs(a - b).max() <= bound * np.abs(b).max()
    others = moved(old, new, x[..., 1:], EVERYTHING, m)
    assert np.abs(others[1] - whole[1]).max() > bound * np.abs(whole[1]).max()


class Source:
    """Images that are nowhere as a whole; counts how often each is read."""

    def __init__(self, m, most, shape=(8, 8), share=None):
        self.most, self.reads, self.shape = most, np.zeros(m, int), shape
        self.images = SharedExamples(
            self.read, (1, *shape, m), np.float64, share or Share(SerialCommunicator())
        )

    def read(self, numbers):
        chosen = np.arange(len(self.reads))[numbers]
        if len(chosen) > self.most:
            raise MemoryError(f"{len(chosen)} images at once")
        self.reads[chosen] += 1
        images = [np.random.default_rng(n).standard_normal((1, *self.shape)) for n in chosen]
        return np.stack(images, axis=-1)


@pytest.mark.parametrize("prior", ["power-law", "spectrum"])
@every_direction
def test_no_more_than_a_batch_is_ever_read(old, new, prior):
    source = Source(300, most=256 if prior == "spectrum" else CHECKED)
    how = Calibration(prior=prior, batch_size=BATCH, kept_bytes=0)
    transfer_network(some_network(old), new, how, images=source.images)
    assert source.reads.min() > 0
    how = Calibration(batch_size=299)
    with pytest.raises(MemoryError, match="299 images at once"):
        transfer_network(some_network(old), new, how, images=Source(300, most=CHECKED).images)


def test_images_are_read_anew_only_where_their_states_are_not_kept():
    layers = some_network().architecture.layers
    # A state is 4 channels of 64 cells, and of 16, in 8 bytes each.
    one = 4 * (64 + 16) * 8
    source = Source(300, most=CHECKED)
    how = Calibration(batch_size=BATCH, kept_bytes=5 * BATCH * one)
    transfer_network(some_network(), (4, 4), how, images=source.images)
    reads = source.reads[2 * BATCH :]  # the first ones were read to see shape and type
    # Looked at once for what is not finite; then the images of both grids come from the same reading twice.
    kept, anew = 1 + 2 * 2, 1 + 2 * (1 + layers + 2)
    assert reads[: 3 * BATCH].tolist() == [kept] * 3 * BATCH
    assert reads[3 * BATCH :].tolist() == [anew] * len(reads[3 * BATCH :])


def peak(m, kept_bytes):
    """Return the most bytes in use while a network is moved by m images that nobody holds."""
    images, network = Source(m, CHECKED).images, some_network(layers=2)
    tracemalloc.start()
    try:
        transfer_network(network, (4, 4), Calibration(kept_bytes=kept_bytes, batch_size=32), images=images)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_images():
    few, many = 160, 560
    peak(few, 0)  # imports and tables that are made once
    states = (many - few) * 4 * (64 + 16) * 8  # bytes, of the images that are more
    # The rest is not of states: interpreter and libraries use some 10 kB more or less.
    assert peak(many, 0) - peak(few, 0) < states / 4
    assert peak(many, EVERYTHING) - peak(few, EVERYTHING) > 3 / 4 * states


@pytest.mark.parametrize("m", [30, 150])
def test_ranks_stream_their_own_images_to_the_same_bits(m):
    def run(comm):
        share = Share(comm, deterministic=True)
        return moved((8, 8), (4, 4), share_examples(random_images(m), share), 0)

    (one,) = SimulatedRanks(1).run(run)
    for size in (2, 3):
        for found in SimulatedRanks(size).run(run):
            assert all(np.array_equal(a, b) for a, b in zip(one, found, strict=True))


def test_a_rank_reads_no_image_of_another():
    sources = {}

    def run(comm):
        sources[comm.rank] = Source(40, CHECKED, share=Share(comm))
        how = Calibration(kept_bytes=0, batch_size=BATCH)
        transfer_network(some_network(), (4, 4), how, images=sources[comm.rank].images)

    SimulatedRanks(2).run(run)
    assert sources[0].reads[20:].tolist() == [0] * 20
    # The first image is looked at by all, for shape and type.
    assert sources[1].reads[1:20].tolist() == [0] * 19
    assert sources[0].reads[:20].min() > 0
    assert sources[1].reads[20:].min() > 0
