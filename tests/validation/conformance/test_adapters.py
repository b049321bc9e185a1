"""The adapters that are shipped pass every case of every function."""

import inspect
import sys

import pytest

from refmg import RefmgError
from refmg_validation.conformance import FUNCTIONS, cases
from refmg_validation.conformance.adapter import load_adapter
from refmg_validation.conformance.run_report import failure_lines
from refmg_validation.conformance.runner import run_cases

BACKENDS = ("numpy", "array-api-strict", "adversarial-numpy")
# Kernels are compiled for every type, rank and width: float32 is, but for a group, a slow test.
COMPILED = ("numba",)


def passed(name, level, dtype, group=None):
    chosen = [case for case in cases(level) if group in (None, case.group)]
    outcomes = run_cases(load_adapter(name), chosen, dtype)
    assert not failure_lines(outcomes)
    assert [o.case.name for o in outcomes if o.verdict != "passed"] == []


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_backends(monkeypatch, backend, dtype):
    monkeypatch.setenv("REFMG_BACKEND", backend)
    passed("refmg_validation.adapters.backends", "full", dtype)


@pytest.mark.parametrize("backend", COMPILED)
def test_compiled_backends(monkeypatch, backend):
    pytest.importorskip("numba", reason="needs the extra 'numba'")
    monkeypatch.setenv("REFMG_BACKEND", backend)
    passed("refmg_validation.adapters.backends", "core", "float32", "integrators")


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
@pytest.mark.parametrize("backend", COMPILED)
def test_compiled_backends_fully(monkeypatch, backend, dtype):
    """Four seconds with kernels that were compiled before, twenty without."""
    pytest.importorskip("numba", reason="needs the extra 'numba'")
    monkeypatch.setenv("REFMG_BACKEND", backend)
    passed("refmg_validation.adapters.backends", "full", dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_cupy(monkeypatch, dtype):
    monkeypatch.setenv("REFMG_BACKEND", "cupy")
    passed("refmg_validation.adapters.backends", "full", dtype)


# PyTorch's forward mode compiles parts of itself by what it has deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_pytorch(dtype):
    torch = pytest.importorskip("torch", reason="the adapter of PyTorch needs the extra 'torch'")
    torch.set_num_threads(1)
    passed("refmg_validation.adapters.torch", "full", dtype)


def test_pytorch_computes_without_refmg():
    """What it shares with refmg is the layout alone: no module of it imports the mathematics."""
    pytest.importorskip("torch", reason="the adapter of PyTorch needs the extra 'torch'")
    from refmg_validation.adapters.torch import grid, image_fits, networks, newton

    for module in (grid, image_fits, networks, newton):
        source = inspect.getsource(module)
        assert "import refmg" not in source
        assert "from refmg " not in source
        assert "from refmg." not in source


def test_all_functions_are_there():
    adapter = load_adapter("refmg_validation.adapters.backends")
    assert [name for name in FUNCTIONS if not adapter.function(name)] == []


def test_without_pytorch_its_adapter_says_so(monkeypatch):
    for name in [n for n in sys.modules if n.startswith("refmg_validation.adapters.torch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(RefmgError, match="needs the module 'torch', which is not installed"):
        load_adapter("refmg_validation.adapters.torch")
