"""Commands that write, killed at random moments and without room; ``make hardening`` does two hundred."""

import json
import os
import subprocess
import sys

import pytest
from fuzzing import seeds
from hardening.commands import COMMANDS
from hardening.whole import faults, files_below

from refmg.atomic import write_atomically


def hardening(tmp_path, *arguments):
    """Run the driver in a process of its own, which forks; return what it recorded."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REFMG_")}
    environment = kept | one | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    record = tmp_path / "record.json"
    command = [sys.executable, "-m", "hardening", "--json", str(record), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(record.read_text())


def test_killed_six_times_nothing_is_lost(tmp_path):
    found = hardening(tmp_path, "--parts", "kills", "--kills", "6", "--commands", "transfer", "resolution")
    assert (
        sum(
            one["outcomes"]["killed"] + one["outcomes"].get("ended before", 0)
            for one in found["kills"].values()
        )
        == 6
    )


def test_where_no_file_may_grow_it_is_one_line_and_nothing_is_lost(tmp_path):
    names = ("transfer", "verify")
    found = hardening(tmp_path, "--parts", "limits", "--commands", *names)
    assert all(found["limits"][name]["outcomes"]["refused"] for name in names)


def test_on_a_full_disk_it_is_one_line_and_nothing_is_lost(tmp_path):
    found = hardening(tmp_path, "--parts", "disk", "--commands", "transfer")
    if isinstance(found["disk"], str):
        pytest.skip(found["disk"])
    assert all(one["outcomes"]["refused"] for one in found["disk"].values())


def test_every_command_that_writes_is_there():
    words = {tuple(word for word in command.words[:2]) for command in COMMANDS}
    firsts = {word for pair in words for word in pair}
    assert {"transfer", "report", "compare", "verify", "bench", "reproduce", "conformance"} <= firsts
    assert {"example1", "resolution", "depth", "pyramid", "export", "check", "run"} <= firsts


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"a": 1}'),
        ("a.npy", seeds.npy_files()[0]),
        ("a.png", seeds.pictures()[0]),
        ("a.html", b"<html>\n</html>\n"),
        ("a.safetensors", seeds.networks()[0]),
        ("m.safetensors", seeds.models()[0]),
    ],
)
def test_half_a_file_is_seen_and_a_lost_one(tmp_path, name, content):
    path = tmp_path / name
    write_atomically(path, content)
    assert faults(tmp_path, {}) == []
    before = files_below(tmp_path)
    path.write_bytes(content[: len(content) // 2])
    (fault,) = faults(tmp_path, before)
    assert f"{name} is half written" in fault
    path.unlink()
    assert faults(tmp_path, before) == [f"{name} is lost"]


def test_a_file_of_another_kind_is_seen(tmp_path):
    (tmp_path / "a.tmp").touch()
    assert faults(tmp_path, {}) == ["a.tmp is of no kind that a command writes"]
