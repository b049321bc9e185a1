"""``make gpu`` on a machine without a GPU: one line, status 2, and nothing computed."""

import json
import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def make(folder, *variables, goal="gpu"):
    command = ["make", "--silent", goal, f"PYTHON={sys.executable}", f"OUT={folder / 'out'}"]
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
@pytest.mark.parametrize("module", ["typer", "numpy", "array_api_compat"])
def test_a_module_that_is_missing_is_named_with_what_to_do(tmp_path, module):
    (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{module}'\")\n")
    found = make(tmp_path, f"GPU_PATH={tmp_path}:.:backends:validation", "GPU_BACKEND=numpy")
    assert found.returncode == 2
    assert found.stdout == (
        f"make gpu: {sys.executable}: No module named '{module}'; "
        "run 'make .gpu-site' where there is a network and bring that folder, or choose another PYTHON=\n"
    )


FEW_TESTS = "GPU_TESTS=", "GPU_FILES=tests/backends/test_environment.py"


@needs_make
def test_a_step_that_fails_does_not_stop_the_next_and_shows_in_the_status(tmp_path):
    wrong = "GPU_STEPS=bench-mnist verify", "GPU_AGAINST=--against troch"
    found = make(tmp_path, "GPU_BACKEND=numpy", *wrong)
    assert found.returncode == 2  # what make makes of a failed recipe
    assert "== verify: done" in found.stdout
    assert (tmp_path / "out" / "verify.json").exists()
    assert "== bench-mnist: FAILED" in found.stdout
    assert "make gpu: failed: bench-mnist" in found.stdout
    assert "did you mean 'torch'" in (tmp_path / "out" / "log.txt").read_text()


def path_with(folder, torch):
    """``GPU_PATH`` where ``import torch`` runs this line first."""
    (folder / "torch.py").write_text(torch + "\n")
    return f"GPU_PATH={folder}:.:backends:validation"


@needs_make
def test_without_torch_the_log_says_that_there_is_no_peer(tmp_path):
    blocked = path_with(tmp_path, "raise ImportError('no torch here')")
    found = make(tmp_path, "GPU_BACKEND=numpy", "GPU_STEPS=", blocked)
    log = (tmp_path / "out" / "log.txt").read_text()
    assert found.returncode == 0, log
    assert "benchmarks: no peer: PyTorch cannot be imported" in log


@needs_make
@pytest.mark.parametrize(("torch", "used"), [("", True), ("raise ImportError", False)])
@pytest.mark.parametrize("step", ["bench-mnist", "bench-resnet", "bench-tf32"])
def test_every_bench_has_the_peer_only_where_torch_can_be_imported(tmp_path, torch, used, step):
    commands = make(tmp_path, "--dry-run", path_with(tmp_path, torch), goal=f"gpu-{step}").stdout
    assert f"bench{' --against torch' if used else ''} --shapes" in " ".join(commands.split())


def test_what_a_machine_with_cupy_alone_lacks_is_listed():
    needs = re.search(r"GPU_NEEDS \?= ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text())[1].split()
    # CuPy brings NumPy and nothing else of these.
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    required = re.findall(r"^[\w-]+", config["options"]["install_requires"], re.MULTILINE)
    assert {"scipy", "matplotlib", *required} - {"numpy"} <= set(needs)


def test_the_folder_of_results_has_eight_files():
    recipes = (ROOT / "Makefile").read_text().split("gpu-tests:\n")[1].split("clean:")[0]
    copied = [line.split()[1:-1] for line in recipes.splitlines() if line.startswith("\tcp ")]
    written = {path.split("/")[-1] for paths in copied for path in paths}
    written |= set(re.findall(r"--json \$\(OUT\)/(\S+)", recipes)) | {"log.txt"}
    assert written == {"log.txt", "verify.json", "bench-mnist.json", "resnet34.json", "bench-resnet.json",
                       "bench-tf32.json", "resolution.json", "resolution.png"}  # fmt: skip


def listed():
    """The test files that ``make gpu-tests`` runs."""
    return set(re.search(r"GPU_FILES := ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text())[1].split()) - {
        "\\"
    }


def test_every_file_with_gpu_tests_is_run(gpu_files):
    """All of them where the whole suite was collected."""
    assert all((ROOT / path).is_file() for path in listed())
    assert gpu_files <= listed()


def test_a_file_that_the_recipe_lacks_would_be_noticed():
    assert len(listed()) > 5
    assert not {"tests/backends/test_registry.py"} <= listed()


GPU_TEST = """
import pytest
@pytest.mark.gpu
def test_device(): pass
@pytest.mark.parametrize("name", __import__("every_backend").BACKENDS)
def test_name(name): pass
"""


@pytest.mark.parametrize(
    ("options", "said"), [(["-n0"], True), (["-n2"], True), (["-n0", "-k", "device"], False)]
)
def test_gpu_tests_that_are_left_out_are_counted_aloud(tmp_path, options, said):
    """By the rules of this folder, in a copy of it with two such tests; each process collects all of them."""
    support = ("tests/support/every_backend.py", "tests/support/spreading.py")
    for name in ("pyproject.toml", "tests/conftest.py", *support):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "tests" / "test_small.py").write_text(GPU_TEST)
    path = os.pathsep.join(str(ROOT / name) for name in (".", "backends"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "tests"]
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    line = "2 tests need a GPU and were left out: pytest -m gpu on a machine with a GPU, or make gpu"
    assert (line in done.stdout) is said, done.stdout


@needs_make
def test_the_suite_for_other_implementations_is_put_to_the_gpu_in_both_precisions(tmp_path):
    steps = re.search(r"GPU_STEPS := (.*)", (ROOT / "Makefile").read_text())[1].split()
    assert "conformance" in steps
    found = make(tmp_path, "GPU_BACKEND=numpy", goal="gpu-conformance")
    assert found.returncode == 0, found.stderr
    assert len(re.findall(r"(\d+) cases: \1 passed\n", found.stdout)) == 2
    for dtype in ("float64", "float32"):
        record = json.loads((tmp_path / "work" / f"conformance-{dtype}.json").read_text())
        assert (record["dtype"], record["passed"], record["counts"]["wrong"]) == (dtype, True, 0)
    assert list((tmp_path / "out").iterdir()) == []


@needs_make
def test_a_dry_run_does_nothing(tmp_path):
    found = make(tmp_path, "--dry-run", "GPU_BACKEND=numpy", "GPU_AGAINST=")
    assert found.returncode == 0, found.stderr
    assert "for step in tests verify" in found.stdout
    assert "\n== tests: " not in found.stdout
    assert list(tmp_path.iterdir()) == []


@needs_make
def test_the_experiment_on_photographs_asks_for_them(tmp_path):
    found = make(tmp_path, "GPU_BACKEND=numpy", goal="gpu-imagenet10")
    assert found.returncode == 2
    assert found.stdout == "make gpu-imagenet10: expected GPU_DATA=DIR with tars or folders of photographs\n"
    command = make(tmp_path, "--dry-run", "GPU_DATA=photographs", goal="gpu-imagenet10").stdout
    assert "reproduce imagenet10 --preset paper --data photographs --splits 5 --time-limit 8" in command


@needs_make
def test_a_step_of_the_resnet_runs_on_a_cpu(tmp_path):
    small = "GPU_RESNET=--quick --size 16 --batch 4"
    found = make(tmp_path, "GPU_BACKEND=numpy", "GPU_AGAINST=", small, goal="gpu-resnet34")
    assert found.returncode == 0, found.stderr
    record = json.loads((tmp_path / "out" / "resnet34.json").read_text())
    assert [row["implementation"] for row in record["rows"]] == ["refmg, numpy"]
    assert len(record["layers"]) == 14


@needs_make
def test_a_step_runs_alone(tmp_path):
    found = make(tmp_path, "GPU_BACKEND=numpy", *FEW_TESTS, goal="gpu-tests")
    assert found.returncode == 0, found.stderr
    assert re.search(r"\d+ passed", found.stdout)
    assert (tmp_path / "out").is_dir()
