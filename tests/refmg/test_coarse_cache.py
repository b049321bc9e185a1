"""Photographs on a coarser grid in a file: the bits of those in memory, whole or made again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from refmg import RefmgError
from refmg.data import Photographs, coarse_cache
from refmg.data.coarse_cache import mapped_means

COUNT, SIZE = 7, 4


@pytest.fixture
def photographs():
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 12, 12), np.uint8)
    return Photographs(pixels, np.arange(COUNT) % 2, ("a", "b"), sha256="0123456789ab" + 52 * "c")


def means(photographs, folder):
    told = []
    return mapped_means(photographs, folder, SIZE, told.append), told


def files(folder):
    return next(folder.glob("*.json")), next(folder.glob("*.pixels"))


@pytest.mark.parametrize("piece", [1, 3, 256])
def test_the_file_has_the_bits_of_memory_whatever_is_taken_at_a_time(
    photographs, tmp_path, monkeypatch, piece
):
    monkeypatch.setattr(coarse_cache, "PIECE", piece)
    found, told = means(photographs, tmp_path)
    some = np.array([5, 0, 3])
    assert np.array_equal(found[some], photographs.at(SIZE, some))
    assert np.array_equal(found, photographs.at(SIZE, np.arange(COUNT)))
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert told == [f"taking means of {COUNT} photographs, {SIZE} x {SIZE} (nothing is there yet)"]
    again, told = means(photographs, tmp_path)
    assert (np.array_equal(found, again), told) == (True, [])


def flip_one_bit(about, pixels):
    content = bytearray(pixels.read_bytes())
    content[7] ^= 1
    pixels.write_bytes(content)


DAMAGES = [
    (flip_one_bit, "is damaged"),
    (lambda about, pixels: pixels.write_bytes(pixels.read_bytes()[:-1]), "another length"),
    (
        lambda about, pixels: about.write_text(json.dumps(json.loads(about.read_text()) | {"size": 2})),
        "other",
    ),
    (lambda about, pixels: about.write_text("[" * 100_000), "is damaged"),
    (lambda about, pixels: pixels.unlink(), "nothing is there"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_what_is_damaged_is_made_again(photographs, tmp_path, damage, said):
    good = np.array(means(photographs, tmp_path)[0])
    damage(*files(tmp_path))
    found, (line,) = means(photographs, tmp_path)
    assert said in line
    assert np.array_equal(found, good)


def test_means_of_other_photographs_are_not_taken(photographs, tmp_path):
    """Of others whose sums begin alike: they have the same file."""
    means(photographs, tmp_path)
    others = replace(photographs, pixels=255 - photographs.pixels, sha256=photographs.sha256[:-1] + "d")
    found, (line,) = means(others, tmp_path)
    assert "of other files" in line
    assert np.array_equal(found, others.at(SIZE, np.arange(COUNT)))


def test_a_process_that_is_killed_leaves_nothing_that_counts(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(coarse_cache, "PIECE", 2)
    real, calls = Photographs.at, []

    def killed(self, *given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(Photographs, "at", killed)
        with pytest.raises(KeyboardInterrupt):
            means(photographs, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(means(photographs, tmp_path)[0]) == COUNT


def test_a_grid_that_does_not_divide_is_refused(photographs, tmp_path):
    with pytest.raises(RefmgError, match="found photographs of 12 cells a side, 5 wanted"):
        mapped_means(photographs, tmp_path, 5)
    assert list(tmp_path.iterdir()) == []
