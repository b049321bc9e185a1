"""The export is the same bytes on another machine: other threads, another processor."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from refmg_validation.conformance import cases
from refmg_validation.conformance.manifest import content_of
from refmg_validation.conformance.vectors import sha256

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
from refmg_validation.conformance import cases
from refmg_validation.conformance.manifest import as_bytes, content_of
from refmg_validation.conformance.vectors import sha256
manifest, files = content_of(cases(), "full")
print("manifest.json", sha256(as_bytes(manifest)))
for path, content in files.items():
    print(path, sha256(content))
"""
# What OpenBLAS and NumPy ask of the machine; a processor that lacks a feature passes over it.
MACHINES = {
    "old": {
        "OPENBLAS_NUM_THREADS": "2",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
    },
    "other": {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"},
}


def digests(program, variables):
    """Return what another process prints, as a dictionary."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS", "NPY_", "OMP"))}
    environment |= variables
    environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / name) for name in ("", "backends", "validation"))
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(line.split() for line in done.stdout.splitlines())


def test_threads_and_processors_change_no_byte():
    found = {name: digests(PROGRAM, variables) for name, variables in MACHINES.items()}
    ours = {path: sha256(content) for path, content in content_of(cases(), "full")[1].items()}
    assert len(ours) > 500
    for machine in found.values():
        assert {path: machine[path] for path in ours} == ours
    assert found["old"]["manifest.json"] == found["other"]["manifest.json"]


def test_the_comparison_sees_what_a_processor_changes():
    """A product by BLAS has other last bits there; else the test above would show nothing."""
    program = """
import numpy as np
rng = np.random.default_rng(0)
A, B = rng.normal(size=(2, 200, 200))
print("blas", (A @ B).tobytes().hex())
"""
    old, other = (digests(program, variables) for variables in MACHINES.values())
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the variables are those of x86")
    assert old["blas"] != other["blas"]
