"""Batches in fixed blocks: a ResNet's pass has the same bits for every number of ranks."""

import numpy as np
import pytest
from simulated_ranks import SimulatedRanks

from refmg import RefmgError, get_backend
from refmg.distributed import Division, SerialCommunicator, Share, share_examples
from refmg.resnet import (
    ResNetArchitecture,
    ResNetTraining,
    batch_part,
    evaluate_resnet,
    random_resnet,
    reestimate_statistics,
    train_resnet,
)
from refmg.resnet.batch_part import division_of_batch
from refmg.resnet.batch_sums import BatchSums, BlockSums
from refmg.resnet.blocks import Blocks

# Strided opening, maximum, strided block with a shortcut.
A = ResNetArchitecture((12, 12), classes=3, in_channels=1, blocks=(1, 1), widths=(2, 3))
NORMS = len(list(A.convolutions()))
# In blocks of 8: four, the last of five images; of a batch of 20 three.
M, CUTS = 29, (20, 26)
KINDS = [(backend, dtype) for backend in ("numpy", "numba") for dtype in ("float32", "float64")]
# 2 eps for each of two sums of at most M * 144 numbers, for each convolution with its norm, of deviations
# near 1 (Higham 2002, section 4.2), relative to the largest number of an array.
PASS = 2 * 2 * NORMS * M * 144


def images(dtype="float64"):
    rng = np.random.default_rng(0)
    # Other means in other blocks: variances about each block's own mean are others.
    x = 5 + np.linspace(0, 3, M) + rng.standard_normal((1, 12, 12, M))
    return x.astype(dtype), rng.integers(0, 3, M)


def handed_out(share, dtype="float64", backend="numpy"):
    """Return images, shared out or on the backend, and labels."""
    x, labels = images(dtype)
    return (get_backend(backend).asarray(x) if share is None else share_examples(x, share)), labels


def one_pass(share, backend="numpy", dtype="float64", storage="full"):
    x, labels = handed_out(share, dtype, backend)
    net = random_resnet(A, 0, dtype, backend)
    found = net.loss_and_gradient(x, labels, storage=storage)
    numbers = {"loss": found.loss, "hits": found.hits} | found.gradient | found.statistics
    return {name: net.backend.to_numpy(array) for name, array in numbers.items()}


def trained(share, backend="numpy", dtype="float64"):
    """An epoch of batches of three blocks, of one and of three images; then what the network is good for."""
    x, labels = handed_out(share, dtype, backend)

    def batches(epoch):
        order = np.random.default_rng(epoch).permutation(M)
        return [(x[..., part], labels[part]) for part in np.split(order, CUTS)]

    net = random_resnet(A, 0, dtype, backend)
    *_, last = train_resnet(net, batches, ResNetTraining(epochs=1, learning_rate=0.05))
    net = reestimate_statistics(last.net, [x[..., : CUTS[0]], x[..., CUTS[0] :]])
    score = evaluate_resnet(net, [(x[..., :27], labels[:27]), (x[..., 27:], labels[27:])])
    numbers = {"loss": last.loss, "accuracy": last.accuracy, "score": score.loss, "right": score.accuracy}
    own = {f"trained {name}": array for name, array in last.net.statistics.items()}
    return numbers | own | net.parameters | net.statistics


def on_ranks(size, function, deterministic=True):
    """Return what a function of a share returns on rank 0, once all ranks have the same bits."""
    if size == 1:
        return function(Share(SerialCommunicator(), deterministic))
    found = SimulatedRanks(size).run(lambda comm: function(Share(comm, deterministic)))
    for other in found[1:]:
        assert same_bits(found[0], other)
    return found[0]


def same_bits(one, other):
    assert one.keys() == other.keys()
    pairs = [(np.asarray(one[name]), np.asarray(other[name])) for name in one]
    return all((a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) for a, b in pairs)


def distance(one, other):
    """Return the largest difference, of each array relative to its largest number."""
    assert one.keys() == other.keys()
    sizes = {name: np.max(np.abs(one[name])) for name in one}
    return np.max([np.max(np.abs(one[n] - other[n])) / (sizes[n] or 1) for n in one])


@pytest.mark.parametrize("function", [one_pass, trained])
@pytest.mark.parametrize(("backend", "dtype"), KINDS)
def test_any_number_of_ranks_gives_the_same_bits(function, backend, dtype):
    one = on_ranks(1, lambda share: function(share, backend, dtype))
    for size in (2, 3, 4):
        assert same_bits(one, on_ranks(size, lambda share: function(share, backend, dtype)))


@pytest.mark.parametrize("backend", ["adversarial-numpy", "array-api-strict"])
def test_so_do_backends_of_other_libraries(backend):
    if backend == "array-api-strict":
        pytest.importorskip("array_api_strict")
    assert same_bits(*(on_ranks(size, lambda share: one_pass(share, backend)) for size in (1, 3)))


def test_half_storage_has_the_same_bits_too():
    one, three = (on_ranks(size, lambda share: one_pass(share, storage="half")) for size in (1, 3))
    assert same_bits(one, three)
    # It is another gradient than the one of full storage, from the same loss.
    full = on_ranks(1, one_pass)
    assert one["loss"] == full["loss"]
    assert not same_bits(one, full)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_blocks_differ_from_a_whole_batch_by_rounding(backend, dtype):
    blocks, whole = (function(backend, dtype) for function in (in_blocks, whole_batch))
    assert 0 < distance(whole, blocks) <= PASS * np.finfo(dtype).eps


def in_blocks(backend, dtype):
    return on_ranks(1, lambda share: one_pass(share, backend, dtype))


def whole_batch(backend, dtype):
    return one_pass(None, backend, dtype)


def test_the_bound_rejects_blocks_that_normalise_by_themselves(monkeypatch):
    whole = one_pass(None)
    monkeypatch.setattr(BlockSums, "moments", lambda self, parts: self.backend.moments(parts[0].parts[0]))
    assert distance(whole, on_ranks(1, one_pass)) > 1e6 * PASS * np.finfo(float).eps


def test_plain_sums_do_not_have_the_same_bits():
    """If they had, the comparisons above would say nothing."""
    found = [on_ranks(size, one_pass, deterministic=False) for size in (1, 2, 3)]
    assert not any(same_bits(found[0], other) for other in found[1:])


def test_blocks_that_depend_on_the_number_of_ranks_are_noticed(monkeypatch):
    one = on_ranks(1, one_pass)

    def divided(backend, examples, share):
        return Division(examples, -(-examples // (4 + share.communicator.size)), share.communicator.size)

    monkeypatch.setattr(batch_part, "division_of_batch", divided)
    assert not same_bits(one, on_ranks(2, one_pass))


def test_sums_in_the_order_of_the_ranks_are_noticed(monkeypatch):
    """Each rank adds its own blocks, then ranks are added: not the tree of one process."""

    def total(self, *parts):
        plain = BatchSums(self.backend, self.examples, Share(self.share.communicator))
        return plain.total(*(sum(part.parts[1:], part.parts[0]) for part in parts))

    monkeypatch.setattr(BlockSums, "total", total)
    assert not same_bits(*(on_ranks(size, one_pass) for size in (1, 2)))


def test_what_a_rank_without_a_block_computes_is_not_added():
    """Six ranks, one block: five of them have looked at it too."""
    x, labels = images()

    def few(share):
        shared = share_examples(x, share)[..., :6]
        found = random_resnet(A, 0, "float64", "numpy").loss_and_gradient(shared, labels[:6])
        return {"loss": found.loss, "hits": found.hits} | found.gradient | found.statistics

    assert same_bits(on_ranks(1, few), on_ranks(6, few))


def test_a_block_has_eight_images_and_whole_vectors():
    share = Share(SerialCommunicator(), deterministic=True)
    sizes = {m: division_of_batch(get_backend("numpy"), m, share).block for m in (1, 7, 8, 9, 64, 65, 200)}
    assert sizes == {1: 1, 7: 7, 8: 8, 9: 8, 64: 8, 65: 9, 200: 25}
    numba = get_backend("numba")
    for m in (65, 200, 1000):
        found = division_of_batch(numba, m, share)
        assert found.block % numba.lanes == 0
        assert found.block >= m / 8


def test_logits_are_those_of_the_own_images_in_order():
    x, labels = images()
    net = random_resnet(A, 0, "float64", "numpy")
    whole = net.loss_and_gradient(x, labels).logits

    def logits(share):
        return {"own": net.loss_and_gradient(share_examples(x, share), labels).logits}

    parts = SimulatedRanks(2).run(lambda comm: logits(Share(comm, True))["own"])
    assert [part.shape for part in parts] == [(3, 16), (3, 13)]
    size = np.abs(whole).max()
    assert np.abs(np.concatenate(parts, axis=1) - whole).max() <= PASS * np.finfo(float).eps * size


def test_a_pass_needs_four_messages_a_norm_and_one_more():
    ranks = SimulatedRanks(2)
    ranks.run(lambda comm: one_pass(Share(comm, True)))
    # Mean, variance, the two sums of the way back, the stencil's gradient; loss, hits and the classifier's.
    assert ranks.messages == {"broadcast_numbers": 4 * NORMS + 1}


def test_what_does_not_fit_is_refused_as_ever():
    share, (x, labels) = Share(SerialCommunicator(), deterministic=True), images()
    net = random_resnet(A, 0, "float64", "numpy")
    with pytest.raises(RefmgError, match=r"found images of shape \(1, 6, 12, 29\)"):
        net.loss_and_gradient(share_examples(x[:, ::2], share), labels)
    with pytest.raises(RefmgError, match="one at least"):
        net.loss_and_gradient(share_examples(x, share)[..., :0], labels[:0])
    mixed = [share_examples(x, Share(SerialCommunicator())), share_examples(x, share)]
    with pytest.raises(RefmgError, match="expected all alike"):
        reestimate_statistics(net, mixed)


def test_blocks_know_their_shape_and_type():
    blocks = Blocks((np.ones((2, 3, 8), "float32"), np.ones((2, 3, 5), "float32")), Division(29, 8, 2))
    assert (blocks.shape, blocks.dtype) == ((2, 3, 13), np.float32)
