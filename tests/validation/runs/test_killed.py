"""Real processes, killed: the run goes on, loses one iteration at most and ends in the same numbers."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tiny_resolution
from signals import heed_interrupts

from refmg import load_network
from refmg.atomic import PART
from refmg_validation.runs import FolderLock, RunFolder, checkpoint_steps

LEVELS = ("coarse", "fine")
UNLIKE = ("seconds", "peak_memory")  # measured, not computed
LINE = re.compile(r"(coarse|fine): loss .* iteration (\d+) of")


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images") / "stripes"
    tiny_resolution.write_stripes(folder)
    return folder


def start(stripes, output, backend, *arguments, **variables):
    command = [sys.executable, tiny_resolution.__file__, "reproduce", "resolution"]
    command += ["--data", str(stripes), "--output", str(output), *arguments]
    environment = os.environ | variables | {"REFMG_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)}
    # One thread each: on a busy machine threads wait for each other longer than such a small run takes.
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment,
                            preexec_fn=heed_interrupts)  # fmt: skip


def finish(*given):
    process = start(*given)
    printed, error = process.communicate()
    assert process.returncode == 0, error
    return printed


@pytest.fixture(scope="module")
def uncut(stripes):
    """From a backend to the folder of a run that nobody interrupted."""

    @cache
    def run(backend):
        finish(stripes, stripes.parent / backend, backend)
        return stripes.parent / backend

    return run


def interrupted(stripes, output, backend, lines, delay, number):
    """Send a signal a moment after so many lines; return the status, the iterations told, and the errors."""
    process = start(stripes, output, backend, **{tiny_resolution.HOLD: "1"})
    told = [process.stdout.readline() for _ in range(lines)]
    time.sleep(delay)
    process.send_signal(number)
    rest, error = process.communicate()
    return process.returncode, iterations(told + rest.splitlines()), error


def iterations(lines):
    return [(m[1], int(m[2])) for m in map(LINE.match, lines) if m]


def saved(output, level):
    """Return the last iteration on the disk."""
    if (output / f"{level}.safetensors").exists():
        return tiny_resolution.ITERATIONS
    return max(checkpoint_steps(output / level), default=-1)


def numbers(output, level):
    network, notes = load_network(output / f"{level}.safetensors", "numpy")
    history = [{k: v for k, v in record.items() if k not in UNLIKE} for record in notes["history"]]
    return network, history


def assert_same(one, other):
    """Compare networks, histories and accuracies with ==."""
    for level in LEVELS:
        (ours, history), (theirs, expected) = numbers(one, level), numbers(other, level)
        assert history == expected
        for part in ("controls", "classifier"):
            ours_vars, theirs_vars = vars(getattr(ours, part)), vars(getattr(theirs, part))
            assert ours_vars.keys() == theirs_vars.keys()
            for name, array in ours_vars.items():
                assert array.dtype == theirs_vars[name].dtype
                assert np.array_equal(array, theirs_vars[name])
    rows = [json.loads((output / "resolution.json").read_text())["rows"] for output in (one, other)]
    # All but the seconds of the transfers, which are measured.
    scores = [[{k: v for k, v in row.items() if not k.endswith(UNLIKE)} for row in table] for table in rows]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(("backend", "kills"), [("numpy", 2), ("numba", 1)])
def test_killed_at_random_moments_it_ends_in_the_same_numbers(tmp_path, stripes, uncut, backend, kills):
    pytest.importorskip(backend)
    whole, parts = uncut(backend), tmp_path / "parts"
    rng = random.Random(2026)
    for _ in range(kills):
        lines, delay = rng.randint(1, 4), rng.uniform(0, 0.03)
        status, told, _ = interrupted(stripes, parts, backend, lines, delay, signal.SIGKILL)
        assert status == -signal.SIGKILL
        # What was told is on the disk: no finished iteration is lost.
        level, last = told[-1]
        assert saved(parts, level) >= last
    finish(stripes, parts, backend, "--resume")
    assert_same(whole, parts)
    assert not list(parts.rglob(f"*{PART}"))


def test_ctrl_c_gives_one_line_and_the_run_goes_on(tmp_path, stripes, uncut):
    whole, parts = uncut("numpy"), tmp_path / "parts"
    status, told, error = interrupted(stripes, parts, "numpy", 3, 0, signal.SIGINT)
    assert (status, error.count("\n")) == (2, 1)
    assert "interrupted; the same command goes on" in error
    level = told[-1][0]
    last = saved(parts, level)
    again = iterations(finish(stripes, parts, "numpy").splitlines())
    # It goes on from what was saved, and computes nothing twice.
    assert next(number for name, number in again if name == level) == last >= told[-1][1]
    assert_same(whole, parts)


def test_the_lock_of_a_killed_process_does_not_block(tmp_path):
    code = "from refmg_validation.runs import FolderLock; import sys, time\n"
    code += "with FolderLock(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=f"in use by process {process.pid} "), FolderLock(tmp_path):
            pass
        process.kill()
    assert (tmp_path / ".lock").exists()
    with FolderLock(tmp_path) as lock:
        assert lock.held


# A child a moment: it saves five steps, and kills itself within the fifth.
MOMENTS = {
    "written": ("os", "fsync", "before"),
    "renaming": ("os", "replace", "before"),
    "renamed": ("os", "replace", "after"),
    "dropping": ("pathlib.Path", "unlink", "before"),
    "dropped": ("pathlib.Path", "unlink", "after"),
}
SAVER = """
import os, pathlib, signal, sys
from refmg import Architecture, random_network
from refmg_validation.runs import RunFolder

OWNERS = {"os": os, "pathlib.Path": pathlib.Path}

def deadly(call, when):
    def wrapped(*arguments, **named):
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        call(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    return wrapped

def save_until_killed(folder, owner, name, when):
    with RunFolder(folder, {"seed": 0}) as run:
        for step in range(5):
            if step == 4:
                setattr(owner, name, deadly(getattr(owner, name), when))
            run.save(step, random_network(Architecture((4, 4)), step), {"step": step})

for moment in sys.argv[2:]:
    folder, owner, name, when = moment.split(":")
    child = os.fork()
    if not child:
        save_until_killed(pathlib.Path(sys.argv[1], folder), OWNERS[owner], name, when)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, moment
"""


def test_killed_at_any_moment_of_saving_the_last_checkpoint_is_whole(tmp_path):
    arguments = [f"{name}:{':'.join(moment)}" for name, moment in MOMENTS.items()]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", SAVER, str(tmp_path), *arguments], check=True, env=environment)
    last = {"written": 3, "renaming": 3, "renamed": 4, "dropping": 4, "dropped": 4}
    for name, step in last.items():
        with RunFolder(tmp_path / name, {"seed": 0}) as run:
            found = run.latest("numpy")
            assert (name, found.step, found.notes) == (name, step, {"step": step})
            assert [p.name for p in Path(run.path).glob(".*")] == [".lock"]  # half-written parts are gone
            run.save(7, found.network, {})
            assert len(run.steps()) == 3
