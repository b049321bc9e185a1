"""What a run folder refuses, keeps and gives back."""

import errno
import json
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from refmg import Architecture, RefmgError, random_network, save_network
from refmg_validation.runs import FolderLock, RunFolder, checkpoint_steps
from refmg_validation.runs.checkpoint import checkpoint_path

SETTINGS = {"training": {"seed": 0, "shape": (4, 4)}}
NETS = [random_network(Architecture((4, 4), channels=2), seed, "numpy", "float32") for seed in range(5)]


@pytest.fixture
def folder(tmp_path):
    """Five saved steps, of which three stay."""
    with RunFolder(tmp_path / "run", SETTINGS) as run:
        for step, network in enumerate(NETS):
            run.save(step, network, {"history": [0.1] * step}, {"momentum": np.arange(step)})
    return tmp_path / "run"


def opened(folder, settings=SETTINGS):
    with RunFolder(folder, settings) as run:
        return run.latest("numpy")


def test_the_last_step_comes_back_to_the_last_bit(folder):
    found = opened(folder)
    assert (found.step, found.notes) == (4, {"history": [0.1] * 4})
    assert np.array_equal(found.network.controls.stencils, NETS[4].controls.stencils)
    assert found.network.dtype == "float32"
    assert np.array_equal(found.arrays["momentum"], np.arange(4))
    assert found.arrays["momentum"].dtype == np.arange(4).dtype


def test_only_the_last_checkpoints_stay_and_no_lock(folder):
    assert sorted(p.name for p in folder.iterdir()) == [f"checkpoint-00000{k}.safetensors" for k in (2, 3, 4)]


def test_a_new_folder_has_nothing_and_leaves_nothing(tmp_path):
    assert RunFolder(tmp_path / "new", SETTINGS).latest() is None
    assert opened(tmp_path / "new") is None
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("step", [3, 4])
def test_steps_rise(folder, step):
    with RunFolder(folder, SETTINGS) as run, pytest.raises(RefmgError, match="above the last saved, 4"):
        run.save(step, NETS[0], {})


def test_a_folder_that_is_not_held_is_not_written(folder):
    with pytest.raises(RefmgError, match="not held"):
        RunFolder(folder, SETTINGS).save(9, NETS[0], {})
    assert checkpoint_steps(folder) == [2, 3, 4]


def test_at_least_one_checkpoint_stays(folder):
    with pytest.raises(RefmgError, match="keep=0"):
        RunFolder(folder, SETTINGS, keep=0)


def test_other_settings_are_refused_and_named(folder):
    with pytest.raises(RefmgError, match=r"other settings \(training.seed: 0 there, 1 now\)"):
        opened(folder, {"training": {"seed": 1, "shape": [4, 4]}})
    assert opened(folder).step == 4  # the lock of the refused one is gone


def flip(content):
    return content[:-9] + bytes([content[-9] ^ 4]) + content[-8:]


def other_version(content):
    # Of the same length, so that the file is whole but for its version.
    return content.replace(b"refmg-network-2", b"refmg-network-7")


DAMAGE = {
    "truncated": lambda content: content[:-5],
    "empty": lambda content: b"",
    "flipped": flip,
    "other version": other_version,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused_with_the_last_good_one(folder, damage):
    path = checkpoint_path(folder, 4)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    said = r"checkpoint-000004.*last good one is checkpoint-000003.safetensors: delete checkpoint-000004.saf"
    for _ in range(2):  # it stays refused
        with pytest.raises(RefmgError, match=said):
            opened(folder)
    path.unlink()
    assert opened(folder).step == 3


def test_every_damaged_checkpoint_is_named(folder):
    for step in (3, 4):
        checkpoint_path(folder, step).write_bytes(b"junk")
    with pytest.raises(RefmgError, match=r"delete checkpoint-000004.safetensors and checkpoint-000003.saf"):
        opened(folder)
    checkpoint_path(folder, 2).write_bytes(b"junk")
    with pytest.raises(RefmgError, match=r"no older one in .* is good"):
        opened(folder)


def test_a_checkpoint_under_another_name_is_refused(folder):
    checkpoint_path(folder, 3).rename(checkpoint_path(folder, 7))
    with pytest.raises(RefmgError, match=r"'refmg-run-1', 3\); expected \('refmg-run-1', 7"):
        opened(folder)


def test_a_network_that_is_no_checkpoint_is_refused(folder):
    save_network(checkpoint_path(folder, 5), NETS[0])
    with pytest.raises(RefmgError, match="last good one is checkpoint-000004"):
        opened(folder)


def test_a_full_disk_leaves_the_former_checkpoint_whole(folder, monkeypatch):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with RunFolder(folder, SETTINGS) as run:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(RefmgError, match="No space left on device; what was there before is unharmed"):
            run.save(5, NETS[0], {})
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert opened(folder).step == 4


def test_a_second_run_is_refused_with_the_number_of_the_first(folder):
    with RunFolder(folder, SETTINGS):
        owner = json.loads((folder / ".lock").read_text())
        assert owner["pid"] == os.getpid()
        said = rf"is in use by process {os.getpid()} on {re.escape(owner['host'])} \("
        with pytest.raises(RefmgError, match=said):
            opened(folder)
    assert opened(folder).step == 4


def test_a_lock_whose_owner_has_not_signed_yet_still_counts(folder):
    with FolderLock(folder):
        (folder / ".lock").write_text("")
        with pytest.raises(RefmgError, match="in use by another run"):
            opened(folder)


def test_a_folder_that_others_make_and_remove_is_taken(tmp_path, monkeypatch):
    """Both ways to lose the race: the folder goes while `mkdir` looks at it, or before the lock is made."""
    mkdir, open_ = Path.mkdir, os.open
    left = {"mkdir": 2, "open": 2}

    def hurried_mkdir(path, *arguments, **named):
        mkdir(path, *arguments, **named)
        if left["mkdir"]:
            left["mkdir"] -= 1
            path.rmdir()
            raise FileExistsError(errno.EEXIST, "File exists", str(path))

    def hurried_open(path, *arguments):
        if left["open"]:
            left["open"] -= 1
            Path(path).parent.rmdir()
        return open_(path, *arguments)

    monkeypatch.setattr(Path, "mkdir", hurried_mkdir)
    monkeypatch.setattr(os, "open", hurried_open)
    with FolderLock(tmp_path / "new") as lock:
        assert lock.held
    assert left == {"mkdir": 0, "open": 0}
    assert not (tmp_path / "new").exists()


def test_threads_that_make_and_remove_one_folder_find_it_free_or_in_use(tmp_path):
    said = []

    def come_and_go():
        for _ in range(200):
            try:
                with FolderLock(tmp_path / "new"):
                    pass
            except RefmgError as error:
                said.append(str(error))

    threads = [threading.Thread(target=come_and_go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("in use by" in line for line in said), {line for line in said if "in use" not in line}


def test_a_folder_that_cannot_be_locked_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RefmgError, match="could not lock"):
        opened(tmp_path / "file" / "run")
