"""Files are whole or absent, whatever happens while they are written."""

import errno
import os

import numpy as np
import pytest
import safetensors.numpy

from refmg import Architecture, RefmgError, load_network, random_network, save_network
from refmg.atomic import write_atomically

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
