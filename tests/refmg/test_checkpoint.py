"""Files are whole or absent, whatever happens while they are written."""

import errno
import json
import os

import numpy as np
import pytest
import safetensors.numpy

from refmg import (
    Architecture,
    RefmgError,
    SavedNetwork,
    load_network,
    load_saved_network,
    random_network,
    save_network,
)
from refmg.atomic import write_atomically
from refmg.checksum import content_sha256

NET = random_network(Architecture((4, 4)), 0, "numpy", "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_loaded_is_what_was_saved_to_the_last_bit(tmp_path, dtype):
    network = random_network(Architecture((4, 5), channels=2), 3, "numpy", dtype)
    save_network(tmp_path / "a.safetensors", network, {"history": [1.5]})
    found, notes = load_network(tmp_path / "a.safetensors", "numpy")
    assert found.architecture == network.architecture
    assert notes == {"history": [1.5]}
    for ours, theirs in zip(vars(found.controls).values(), vars(network.controls).values(), strict=True):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


def failing(error):
    def fail(*arguments):
        raise error

    return fail


@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("error", "caught"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), RefmgError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_an_interrupted_write_leaves_the_old_file_whole(tmp_path, monkeypatch, where, error, caught):
    path = tmp_path / "net.safetensors"
    save_network(path, NET)
    before = path.read_bytes()
    monkeypatch.setattr(os, where, failing(error))
    with pytest.raises(caught):
        save_network(path, NET, {"new": True})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_folder_that_is_a_file_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RefmgError, match="could not write"):
        write_atomically(tmp_path / "file" / "net", b"x")


@pytest.mark.parametrize("content", [b"", b"not a network", safetensors.numpy.save({"a": np.zeros(2)})])
def test_files_of_another_kind_are_refused(tmp_path, content):
    (tmp_path / "net").write_bytes(content)
    with pytest.raises(RefmgError, match="net"):
        load_network(tmp_path / "net")


def test_a_truncated_file_is_refused(tmp_path):
    save_network(tmp_path / "net", NET)
    content = (tmp_path / "net").read_bytes()
    (tmp_path / "net").write_bytes(content[:-7])
    with pytest.raises(RefmgError, match="cannot read"):
        load_network(tmp_path / "net")


def test_no_flipped_bit_goes_unnoticed(tmp_path):
    path, rng = tmp_path / "net", np.random.default_rng(0)
    network = random_network(Architecture((3, 3), channels=1, layers=1, classes=2), 0, "numpy", "float32")
    save_network(path, network, {"step": 3}, {"momentum": np.ones(2)})
    content = path.read_bytes()
    # Every third byte: header, notes, checksum and arrays are all longer than that.
    for place in range(0, len(content), 3):
        flipped = content[place] ^ (1 << int(rng.integers(8)))
        path.write_bytes(content[:place] + bytes([flipped]) + content[place + 1 :])
        with pytest.raises(RefmgError, match="net"):
            load_network(path, "numpy")


def test_a_file_without_its_checksum_is_refused(tmp_path):
    _write(tmp_path / "net", "refmg-network-2")
    with pytest.raises(RefmgError, match="damaged"):
        load_network(tmp_path / "net", "numpy")


def test_a_file_of_the_former_format_is_read(tmp_path):
    _write(tmp_path / "net", "refmg-network-1")
    found, notes = load_network(tmp_path / "net", "numpy")
    assert np.array_equal(found.controls.stencils, NET.controls.stencils)
    assert notes == {"history": [1]}


def test_a_file_of_a_later_format_is_refused(tmp_path):
    _write(tmp_path / "net", "refmg-network-3")
    with pytest.raises(RefmgError, match="found the format 'refmg-network-3'"):
        load_network(tmp_path / "net", "numpy")


def _write(path, version):
    """Write a network as the first format did: without a checksum."""
    c = NET.controls
    arrays = (c.opening, c.stencils, c.biases, NET.classifier.W, NET.classifier.mu)
    tensors = dict(zip(("opening", "stencils", "biases", "W", "mu"), arrays, strict=True))
    about = {"architecture": json.dumps(NET.architecture.as_dict()), "notes": json.dumps({"history": [1]})}
    path.write_bytes(safetensors.numpy.save(tensors, metadata=about | {"format": version}))


@pytest.mark.parametrize(
    "extra", [np.array(2.5), np.zeros((0, 3)), np.arange(6).reshape(2, 3).T, np.array([True])]
)
def test_arrays_beside_a_network_come_back_as_they_were(tmp_path, extra):
    save_network(tmp_path / "net", NET, arrays={"W": extra})
    saved = load_saved_network(tmp_path / "net", "numpy")
    assert saved.arrays["W"].dtype == extra.dtype
    assert saved.arrays["W"].shape == extra.shape
    assert np.array_equal(saved.arrays["W"], extra)
    assert np.array_equal(saved.network.classifier.W, NET.classifier.W)


@pytest.mark.parametrize(
    "other",
    [
        ({"a": "b", "c": ""}, {"x": np.zeros(4)}),
        ({"a": "c"}, {"x": np.zeros(4)}),
        ({"a": "b"}, {"y": np.zeros(4)}),
        ({"a": "b"}, {"x": np.zeros((2, 2))}),
        ({"a": "b"}, {"x": np.zeros(4, dtype=np.int64)}),
        ({"a": "b"}, {"x": np.zeros(2), "y": np.zeros(2)}),
        ({"a": "b"}, {"x": -np.zeros(4)}),
    ],
)
def test_the_checksum_sees_names_types_shapes_and_bytes(other):
    assert content_sha256({"a": "b"}, {"x": np.zeros(4)}) != content_sha256(*other)


def test_the_checksum_does_not_see_layout_and_byte_order():
    A = np.arange(6.0).reshape(2, 3)
    for same in (np.asfortranarray(A), A.astype(">f8")):
        assert content_sha256({}, {"A": A}) == content_sha256({}, {"A": same})


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RefmgError, match="cannot read"):
        load_network(tmp_path / "nothing")


def test_networks_saved_before_layers_and_integrators_had_names_are_forward_euler():
    new = Architecture((4, 4)).as_dict()
    old = {k: v for k, v in new.items() if k not in ("layer", "integrator", "control_nodes", "interpolation")}
    assert Architecture.from_dict(old) == Architecture((4, 4))
    del old["channels"]
    with pytest.raises(RefmgError, match="expected exactly"):
        Architecture.from_dict(old)


def test_a_saved_network_has_its_notes_and_arrays(tmp_path):
    momentum = np.arange(3.0)
    save_network(tmp_path / "a.safetensors", NET, {"iteration": 3}, {"momentum": momentum})
    found = load_saved_network(tmp_path / "a.safetensors", "numpy")
    assert isinstance(found, SavedNetwork)
    assert found.notes == {"iteration": 3}
    assert np.array_equal(found.arrays["momentum"], momentum)
    assert np.array_equal(found.network.controls.flat(np), NET.controls.flat(np))
    assert SavedNetwork(NET, {}).arrays == {}
