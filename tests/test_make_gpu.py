"""``make gpu`` on a machine without a GPU: one line, status 2, and nothing computed."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def make(folder, *variables):
    command = ["make", "--silent", "gpu", f"PYTHON={sys.executable}", f"OUT={folder / 'out'}"]
    command += [f"GPU_WORK={folder / 'work'}", *variables]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="runs make, which is not installed")


@needs_make
@pytest.mark.skipif(find_spec("cupy") is not None, reason="CuPy is installed: there may be a GPU")
def test_without_a_gpu_it_stops_with_one_line(tmp_path):
    found = make(tmp_path)
    assert found.returncode == 2
    assert found.stdout.count("\n") == 1
    assert found.stdout.startswith("make gpu: refmg: backend 'cupy' is known but cannot be loaded")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["log.txt"]


@needs_make
def test_a_step_that_fails_does_not_stop_the_next_and_shows_in_the_status(tmp_path):
    steps = "GPU_STEPS=verify bench-mnist", "GPU_AGAINST=--against troch"
    found = make(tmp_path, "GPU_BACKEND=numpy", *steps[:1], *steps[1:], "GPU_BENCH=--quick")
    assert found.returncode == 2  # what make makes of a failed recipe
    assert "== verify: done" in found.stdout
    assert "== bench-mnist: FAILED" in found.stdout
    assert "make gpu: failed: bench-mnist" in found.stdout
    assert "did you mean 'torch'" in (tmp_path / "out" / "log.txt").read_text()


def test_the_folder_of_results_stays_small():
    recipes = (ROOT / "Makefile").read_text().split("gpu-tests:")[1].split("clean:")[0]
    named = [word.split("/")[-1] for word in recipes.split() if "." in word.split("/")[-1] and "$(" in word]
    written = {name for name in named if name != "py"} | {"log.txt"}
    assert len(written) <= 8 + 2, written  # two plots stay in the working folder
