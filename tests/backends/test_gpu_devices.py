"""Which devices and drivers the GPU backend takes, and what it says of others."""

from __future__ import annotations

import sys

import pytest
from cuda_on_cpu import (
    NAMESPACE,
    cupy_stand_in,
)

from refmg import BackendUnavailableError, RefmgError, get_backend
from refmg_backends import check_environment, cupy_backend, registry
from refmg_backends.cupy_backend import allow_tf32, require_device


def test_no_device_is_said_with_what_to_do():
    with pytest.raises(BackendUnavailableError, match=r"installed but found no GPU .*=numba"):
        require_device(cupy_stand_in(devices=0))


def test_a_driver_that_raises_is_no_device():
    cupy = cupy_stand_in()

    def broken():
        raise RuntimeError("cudaErrorInsufficientDriver")

    cupy.cuda.runtime.getDeviceCount = broken
    with pytest.raises(BackendUnavailableError, match="RuntimeError: cudaErrorInsufficientDriver"):
        require_device(cupy)


@pytest.mark.parametrize("capability", [(8, 0), (8, 6), (12, 0)])
def test_a_device_with_asynchronous_copies_is_taken(capability):
    assert require_device(cupy_stand_in(capability=capability)) == "cuda: Stand-in"


@pytest.mark.parametrize("capability", [(7, 5), (6, 1)])
def test_a_device_without_asynchronous_copies_is_refused_before_a_kernel_is_compiled(capability):
    found = "found Stand-in of compute capability {}.{}; expected at least 8.0".format(*capability)
    with pytest.raises(BackendUnavailableError, match=found):
        require_device(cupy_stand_in(capability=capability))


@pytest.mark.parametrize(
    ("name", "library", "hint"), [("cupy", "cupy", "cuda12"), ("numba", "numba", "numba")]
)
def test_a_known_backend_whose_library_is_missing_says_what_to_install(monkeypatch, name, library, hint):
    for module in [m for m in sys.modules if m.startswith("refmg_backends.numba")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    registry._load.cache_clear()
    try:
        with pytest.raises(BackendUnavailableError, match=f"'{name}' is known but cannot be loaded.*{hint}"):
            get_backend(name)
    finally:
        registry._load.cache_clear()


@pytest.mark.parametrize("found", ["true", "on", "yes", "2", " 1"])
@pytest.mark.parametrize("backend", ["numpy", "cupy"])
def test_tf32_that_is_neither_0_nor_1_is_refused_on_every_backend(monkeypatch, found, backend):
    monkeypatch.setenv("REFMG_TF32", found)
    with pytest.raises(RefmgError, match=f"found REFMG_TF32={found}; expected 1 .* or 0"):
        get_backend(backend)


@pytest.mark.parametrize("shell", ["0", "1"])
@pytest.mark.parametrize("product_before", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_what_is_printed_of_tf32_is_what_products_use(monkeypatch, shell, product_before, asked):
    cupy = cupy_stand_in()
    monkeypatch.setenv("CUPY_TF32", shell)
    if product_before:
        cupy._core.get_compute_type("f")  # CuPy decides by what the shell says
    assert allow_tf32(cupy, asked) is asked
    assert (cupy._core.get_compute_type("f") == cupy_backend.TF32) is asked


def test_a_cupy_that_refuses_tf32_is_not_said_to_use_it():
    cupy = cupy_stand_in()
    cupy._core.set_compute_type = lambda kind, chosen: None  # as CuPy does below capability 8.0
    assert allow_tf32(cupy, True) is False


def test_tf32_that_another_variable_forbids_is_refused(monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert allow_tf32(cupy_stand_in(), False) is False
    with pytest.raises(RefmgError, match="NVIDIA_TF32_OVERRIDE=0, which forbids TF32"):
        allow_tf32(cupy_stand_in(), True)


def test_the_backend_of_a_device_is_loaded_with_its_state(monkeypatch):
    cupy = cupy_stand_in()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", NAMESPACE)
    monkeypatch.setattr("array_api_compat.cupy", NAMESPACE, raising=False)
    for asked in ("1", "0", ""):
        monkeypatch.setenv("REFMG_TF32", asked)
        backend = cupy_backend.load_cupy_backend()
        assert backend.tf32 is (asked == "1")
        assert backend.device == "cuda: Stand-in, CuPy 14.0, CUDA 12090"


def test_tf32_is_a_known_variable_and_its_misspelling_is_not():
    assert check_environment({"REFMG_TF32": "1"}) == {"REFMG_TF32": "1"}
    with pytest.raises(RefmgError, match="did you mean 'REFMG_TF32'"):
        check_environment({"REFMG_TF23": "1"})
