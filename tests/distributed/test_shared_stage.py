"""A stage of ImageNet-10 that ranks train together: one network, one that writes, one decision."""

import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
import tiny_imagenet
from photographs import write_stripes
from simulated_ranks import SimulatedCommunicator, SimulatedRanks

from refmg import RefmgError
from refmg.data import load_photographs
from refmg.data.augmentation import varied
from refmg.resnet import random_resnet
from refmg_validation.imagenet10 import images as level_images
from refmg_validation.imagenet10 import saved_stage
from refmg_validation.imagenet10.deadline import Deadline, TimeIsUpError
from refmg_validation.imagenet10.images import LevelImages
from refmg_validation.imagenet10.saved_stage import SavedStage
from refmg_validation.imagenet10.source import Source
from refmg_validation.imagenet10.stages import stages_of
from refmg_validation.ranks import Ranks, ranks, using

DOUBLE = replace(tiny_imagenet.DOUBLE, training=replace(tiny_imagenet.DOUBLE.training, epochs=2))
STAGE = next(stage for stage in stages_of(DOUBLE) if stage.name == "calibrated + BN, 16")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return load_photographs(write_stripes(folder, classes=3, each=30), folder / "cache", 16)


def source():
    """Return the network where the stage begins."""
    return random_resnet(DOUBLE.architecture.on((8, 8)), 1, "float64")


def go(size, folder, photographs, work):
    """Return what so many ranks get that do some work with the calibrated stage."""

    def run(comm):
        with using(Ranks(comm)):
            saved = SavedStage(STAGE, DOUBLE, folder, {"seed": 1}, {"command": "a test"})
            return work(saved, source, LevelImages(photographs, DOUBLE, 16))

    return SimulatedRanks(size).run(run)


def train(saved, before, images):
    saved.go(before, images, lambda record: None)
    return saved.network().as_arrays()


def test_all_ranks_end_with_the_network_that_the_first_one_wrote(photographs, tmp_path, monkeypatch):
    writers, moved, real = [], [], (saved_stage.write_state, saved_stage.transfer_resnet)

    def write(path, *content):
        writers.append((path.suffix, threading.get_ident()))
        real[0](path, *content)

    def move(*given):
        moved.append(threading.get_ident())
        return real[1](*given)

    monkeypatch.setattr(saved_stage, "write_state", write)
    monkeypatch.setattr(saved_stage, "transfer_resnet", move)
    first, *others = go(3, tmp_path, photographs, train)
    assert all(np.array_equal(first[name], other[name]) for other in others for name in first)
    assert [suffix for suffix, _ in writers] == [".state", ".state", ".safetensors"]
    assert len({moved[0], *(thread for _, thread in writers)}) == len(moved) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["calibrated-BN-16.safetensors"]


def test_only_the_first_rank_has_the_network_where_a_stage_begins(photographs, tmp_path, monkeypatch):
    """It reads it once; what the others are sent is the network that was moved, and not where from."""
    readers, sent, real = [], [], SimulatedCommunicator.broadcast

    def read():
        readers.append(threading.get_ident())
        return source()

    def broadcast(self, content):
        if self.rank == 0 and len(pickle.dumps(content)) > 1000:
            sent.append(content[1][0])
        return real(self, content)

    def work(saved, _, images):
        saved.go(read, images, lambda record: None)
        saved.go(read, images, lambda record: None)
        return threading.get_ident()

    monkeypatch.setattr(SimulatedCommunicator, "broadcast", broadcast)
    first, _ = go(2, tmp_path, photographs, work)
    assert readers == [first] * 2
    assert [net.architecture.shape for net in sent] == [(16, 16)] * 2

    def missing():
        raise RefmgError("cannot read it")

    with pytest.raises(RefmgError, match="cannot read it"):
        go(2, tmp_path, photographs, lambda saved, _, images: saved.go(missing, images, print))


def test_ranks_whose_stopping_losses_differ_in_the_last_bit_stop(photographs, tmp_path, monkeypatch):
    real = saved_stage._Monitor.__call__

    def seen(self, net):
        found = real(self, net)
        return np.nextafter(found, np.inf) if ranks().rank else found

    monkeypatch.setattr(saved_stage._Monitor, "__call__", seen)
    with pytest.raises(RefmgError, match=r"on the ranks \[1\] than on rank 0"):
        go(2, tmp_path, photographs, train)
    assert not list(tmp_path.iterdir())  # found before anything of that epoch was saved


def test_the_first_rank_says_for_all_when_time_is_up(photographs, tmp_path):
    """The others have all the time that there is."""

    def work(saved, before, images):
        deadline = Deadline(float("inf") if ranks().rank else 0.0)
        with pytest.raises(TimeIsUpError):
            saved.go(before, images, lambda record: deadline.check())
        return deadline.is_over

    assert go(2, tmp_path, photographs, work) == [True, True]
    assert [path.name for path in tmp_path.iterdir()] == ["calibrated-BN-16.state"]


@pytest.mark.parametrize("size", [8, 16])
def test_a_rank_reads_its_part_of_a_batch_from_a_file(photographs, tmp_path, monkeypatch, size):
    """Of eight images two ranks vary four each: together, what one process has that holds all."""
    source, told, counts = Source(None, tmp_path), [], []

    def counted(images, *how):
        counts.append(len(images))
        return varied(images, *how)

    monkeypatch.setattr(level_images, "varied", counted)

    def parts(comm):
        with using(Ranks(comm)):
            mapped = source.mapped(photographs, (8, 16), told.append)[size]
            images = LevelImages(photographs, DOUBLE, size, mapped)
            epoch = [(x.own(x.share.division(8, 8)), labels) for x, labels in images.epoch(1)]
            sizes = [x.shape[-1] for x, _ in images.plain("stopping")]
            return epoch, sizes, images.unlabelled(), images._kept, mapped.filename

    (first, sizes, few, kept, file), (second, _, _, others, same) = SimulatedRanks(2).run(parts)
    assert (kept, others, same) == ({}, {}, file)
    assert told == ["taking means of 90 photographs, 8 x 8 (nothing is there yet)"]
    assert counts == [4] * 6  # in three batches, by two ranks: none is varied twice
    held = LevelImages(photographs, DOUBLE, size)
    alone = list(held.epoch(1))
    assert counts[6:] == [8] * 3
    assert np.array_equal(few, held.unlabelled())
    assert sizes == [8, 1]
    assert len(first) == len(alone) == 3
    for (a, labels), (b, _), (whole, expected) in zip(first, second, alone, strict=True):
        assert a.shape[-1] == b.shape[-1] == 4
        assert np.array_equal(np.concatenate([a, b], axis=-1), whole)
        assert np.array_equal(labels, expected)
    assert source.mapped(photographs, (8, 16), told.append) == {}  # one process has memory of its own
