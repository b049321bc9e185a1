"""Multilevel runs as real processes, killed and interrupted: what was told is saved, the end is the same."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import tiny_path
import tiny_resolution
from signals import heed_interrupts

from refmg import load_network
from refmg_validation.runs import checkpoint_steps
from refmg_validation.runs.checkpoint import checkpoint_path

MEASURED = ("elapsed",)
PATH = re.compile(r"seed 0, (.*)")
LINE = re.compile(r"(\d+ x \d+), (\d+) layers: loss .* iteration (\d+) of")


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images") / "stripes"
    tiny_resolution.write_stripes(folder)
    return folder


def process_of(*command, backend="numpy", **variables):
    environment = os.environ | variables | {"REFMG_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)}
    # One thread each: on a busy machine threads wait for each other longer than such a small run takes.
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    pipe = subprocess.PIPE
    command = [sys.executable, *map(str, command)]
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment,
                            preexec_fn=heed_interrupts)  # fmt: skip


def reproduce(kind, stripes, output, *arguments, **more):
    command = [tiny_resolution.__file__, "reproduce", kind, "--data", stripes, "--output", output]
    return process_of(*command, *arguments, **more)


def finished(process):
    printed, error = process.communicate()
    assert process.returncode == 0, error
    return printed.splitlines()


def stopped(process, path, count, number):
    """Send a signal once a path has told so many iterations; return status, what was told, and errors."""
    lines, told, here = [], 0, None
    while told < count:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        lines.append(line)
        header = PATH.match(line)
        here = header[1] if header else here
        told += here == path and LINE.match(line) is not None
    process.send_signal(number)
    rest, error = process.communicate()
    return process.returncode, iterations([*lines, *rest.splitlines()]), error


def iterations(lines):
    """Return path, grid, layers and number of every iteration that was told."""
    found, path = [], None
    for line in lines:
        header, told = PATH.match(line), LINE.match(line)
        path = header[1] if header else path
        found += [(path, told[1], int(told[2]), int(told[3]))] if told else []
    return found


def saved(output, path):
    """Return the last saved iteration of a path."""
    stem = output / "seed-0" / path.replace(", ", "-").replace(" ", "-")
    finished = stem.with_name(f"{stem.name}.safetensors")
    file = finished if finished.exists() else checkpoint_path(stem, checkpoint_steps(stem)[-1])
    _, notes = load_network(file, "numpy")
    records = notes.get("records") or notes["notes"]["records"]
    last = [record for record in records if record["kind"] == "iteration"][-1]
    return path, " x ".join(map(str, last["shape"])), last["layers"], last["iteration"]


def series(output):
    """Every recorded number but those that were measured with a clock."""
    found = {}
    for line in json.loads((output / "run.json").read_text())["series"]:
        columns = [i for i, name in enumerate(line["columns"]) if name not in MEASURED]
        found[line["group"], line["name"]] = [[row[i] for i in columns] for row in line["rows"]]
    return found


def assert_same(one, other):
    """Compare all series and all parameters with ==."""
    assert series(one) == series(other)
    files = sorted(path.relative_to(one) for path in one.glob("seed-0/*.safetensors"))
    assert files
    assert files == sorted(path.relative_to(other) for path in other.glob("seed-0/*.safetensors"))
    for file in files:
        ours, theirs = (load_network(folder / file, "numpy")[0] for folder in (one, other))
        for part in ("controls", "classifier"):
            for name, array in vars(getattr(ours, part)).items():
                assert np.array_equal(array, vars(getattr(theirs, part))[name]), (file, name)


CALIBRATED = "coarse to fine, calibrated"
CASES = [
    ("depth", "numpy", [("prolonged", 6), ("random 2", 1)]),
    # Of runs with compiled kernels the ordinary suite kills those of ``reproduce resolution``.
    pytest.param("depth", "numba", [("prolonged", 5), ("random 2", 2)], marks=pytest.mark.slow),
    # The third of four paths has a calibrated switch from 4 x 4 to 8 x 8 after its fourth iteration.
    (
        "pyramid",
        "numpy",
        [("coarse to fine, calibrated", 4), ("both at once, calibrated", 5)],
    ),
]


@pytest.mark.parametrize(
    ("kind", "backend", "kills"), CASES, ids=["depth numpy", "depth numba", "pyramid numpy"]
)
def test_killed_and_interrupted_it_ends_in_the_same_numbers(tmp_path, stripes, kind, backend, kills):
    pytest.importorskip(backend)
    whole, parts, hold = tmp_path / "whole", tmp_path / "parts", {tiny_resolution.HOLD: "1"}
    everything = iterations(finished(reproduce(kind, stripes, whole, backend=backend)))
    resume = []
    # Every second one by Ctrl-C: one line, status 2.
    for turn, (path, count) in enumerate(kills):
        number = signal.SIGINT if turn % 2 else signal.SIGKILL
        process = reproduce(kind, stripes, parts, *resume, backend=backend, **hold)
        status, told, error = stopped(process, path, count, number)
        if number == signal.SIGKILL:
            assert status == -signal.SIGKILL
        else:
            assert (status, error.count("\n")) == (2, 1)
            assert "interrupted; the same command goes on" in error
        resume = ["--resume"]
        place = everything.index(saved(parts, told[-1][0]))
        # On the disk is what was told last, or the iteration after it; nothing beyond was computed.
        assert everything.index(told[-1]) <= place <= everything.index(told[-1]) + 1
    again = iterations(finished(reproduce(kind, stripes, parts, "--resume", backend=backend)))
    # The last of each saved level is told again, then what was not saved: no iteration is computed twice.
    first = again.index(everything[place])
    assert again[first:] == everything[place:]
    assert all(line[3] == tiny_resolution.LEVEL_ITERATIONS for line in again[:first])
    assert_same(whole, parts)


def test_adam_and_multiscale_gradients_go_on_from_their_averages(tmp_path):
    def run(folder):
        return process_of(tiny_path.__file__, tmp_path / folder)

    everything = finished(run("whole"))
    assert len(everything) == 2 * tiny_path.EPOCHS
    for line in ("0 1 new", "1 1 new"):
        process = run("parts")
        while process.stdout.readline().strip() != line:
            pass
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    steps = checkpoint_steps(tmp_path / "parts" / "tiny")
    rest = [line for line in finished(run("parts")) if line.endswith("new")]
    # Records are the start, 4 epochs, a switch, 4 epochs: step 7 is the second epoch of the second level.
    assert steps[-1] >= 7
    assert rest == everything[steps[-1] - 1 :]
    whole, parts = (load_network(tmp_path / f / "tiny.safetensors", "numpy") for f in ("whole", "parts"))
    assert np.array_equal(whole[0].controls.stencils, parts[0].controls.stencils)
    assert np.array_equal(whole[0].classifier.W, parts[0].classifier.W)
    losses = [[record.get("loss") for record in notes["records"]] for _, notes in (whole, parts)]
    assert losses[0] == losses[1]
