"""How the tests are spread over processes: kernels are compiled by one of them."""

import subprocess
import sys
from pathlib import Path

import pytest
from spreading import KERNELS, part_of, turn_of

ROOT = Path(__file__).resolve().parents[1]


def files():
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py"))


def test_all_that_compiles_kernels_for_the_processor_is_one_part_and_every_other_file_one_of_its_own():
    together = {name for name in files() if part_of(f"{name}::test_it[1::2]") == KERNELS}
    assert {"tests/backends/test_backend_kernels.py", "tests/backends/test_numba_backend.py"} <= together
    assert all(name.startswith("tests/backends/") and "cuda" not in name for name in together)
    assert [part_of(name) for name in files() if name not in together] == [
        name for name in files() if name not in together
    ]


@pytest.mark.parametrize(
    "nodeids",
    [
        ("tests/backends/test_pooling.py::a", "tests/backends/test_cuda_kernels.py::a"),
        ("tests/backends/test_cuda_kernels.py::a", "tests/distributed/test_sums.py::a"),
        ("tests/distributed/test_sums.py::a", "tests/validation/runs/test_killed.py::a"),
        ("tests/validation/runs/test_killed.py::a", "tests/test_hardening.py::a"),
        ("tests/test_hardening.py::a", "tests/refmg/test_galerkin.py::a"),
        ("tests/test_hardening.py::a", "refmg/objective.py::refmg.objective.NetworkObjective"),
    ],
)
def test_kernels_come_first_and_files_without_processes_last(nodeids):
    assert turn_of(nodeids[0]) < turn_of(nodeids[1])


BODY = """
import os
from pathlib import Path
import pytest
@pytest.mark.parametrize("k", range(9))
def test_it(k):
    with open(Path(__file__).parents[2] / "told.txt", "a") as told:
        told.write(f"{Path(__file__).name} {os.environ['PYTEST_XDIST_WORKER']}\\n")
"""


def test_two_processes_get_whole_parts(tmp_path):
    """By the rules of this folder, elsewhere: no file is in two processes, and all kernels are in one."""
    names = ["backends/test_a", "backends/test_b", "distributed/test_c", "validation/test_d"]
    for name in names:
        path = tmp_path / "tests" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BODY)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "support" / "spreading.py").read_text())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n2", "tests"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "36 passed" in done.stdout, done.stdout
    places = dict(line.split() for line in set((tmp_path / "told.txt").read_text().splitlines()))
    assert len(set((tmp_path / "told.txt").read_text().splitlines())) == len(names)
    assert places["test_a.py"] == places["test_b.py"] != places["test_c.py"]
