"""The ``cupy`` backend: arrays on an NVIDIA GPU, convolutions as large matrix products.

Explicit matrices (``cupyx.scipy.sparse``, which has none of integers) serve on request. They are
assembled on the host in canonical form and moved; their products with dense matrices are not bitwise
repeatable, so they are not the default.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refmg_backends.backend import Array
from refmg_backends.environment import check_environment
from refmg_backends.errors import BackendUnavailableError
from refmg_backends.gemm_kernels import GemmBackend, GemmConvolution
from refmg_backends.geometry import Geometry
from refmg_backends.sparse_assembly import assemble

PINNED = 1 << 20  # bytes; smaller uploads do not gain from page-locked memory


def load_cupy_backend() -> CupyBackend:
    """Return the backend, if CuPy and a device are there.

    Raises
    ------
    ImportError
        If CuPy is not installed.
    BackendUnavailableError
        If it finds no device.
    """
    tf32 = check_environment().get("REFMG_TF32") == "1"
    # CuPy reads this once; what the user's shell says would change results unasked.
    os.environ["CUPY_TF32"] = "1" if tf32 else "0"
    import cupy
    from array_api_compat import cupy as xp

    return CupyBackend(cupy, xp, require_device(cupy), tf32)


def require_device(cupy: Any) -> str:
    """Return the name of the current device.

    Raises
    ------
    BackendUnavailableError
        If there is none, or the driver is missing or too old.
    """
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        found = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"] if count else None
    except Exception as error:  # CuPy raises its own kinds, which cannot be named without its libraries
        found, reason = None, f"{type(error).__name__}: {error}"
    else:
        reason = "CuPy counts no device"
    if found is None:
        raise BackendUnavailableError(
            f"backend 'cupy' is installed but found no GPU ({reason}); "
            "run on a machine with an NVIDIA GPU and driver, or choose REFMG_BACKEND=numba"
        )
    return "cuda: " + (found.decode() if isinstance(found, bytes) else str(found))


class ExplicitConvolution:
    """A convolution that is its sparse matrix on the device.

    Parameters
    ----------
    cupy : module
        CuPy.
    stencil : ndarray, shape (C_out, C_in, k_1, .., k_d)
        Taps on the host.
    geometry : Geometry
        Grid, width, boundary and stride.
    """

    def __init__(self, cupy: Any, stencil: NDArray[Any], geometry: Geometry) -> None:
        from importlib import import_module

        K = assemble(stencil, geometry)
        kind = import_module("cupyx.scipy.sparse").csr_matrix
        # CSR of K and of its transpose, both canonical: the device never sorts or sums.
        self.K, self.KT = kind(K), kind(K.T.tocsr())
        self.geometry, self.channels = geometry, stencil.shape[:2]

    def apply(self, Y: Array, add_to: Array | None = None) -> Array:
        """Return ``add_to + K Y``."""
        product = self.K @ Y.reshape(self.K.shape[1], Y.shape[-1])
        product = product.reshape(self.channels[0], self.geometry.out_cells, Y.shape[-1])
        return product if add_to is None else add_to + product

    def apply_transpose(self, Z: Array, add_to: Array | None = None) -> Array:
        """Return ``add_to + K^T Z``."""
        product = self.KT @ Z.reshape(self.K.shape[0], Z.shape[-1])
        product = product.reshape(self.channels[1], self.geometry.cells, Z.shape[-1])
        return product if add_to is None else add_to + product


class CupyBackend(GemmBackend):
    """Arrays on a GPU.

    Work is begun on the current stream and not waited for, until numbers are asked for on the host.

    Parameters
    ----------
    cupy : module
        CuPy.
    xp : module
        Its array-API namespace.
    device : str
        In words, beginning with ``"cuda"``.
    tf32 : bool
        Whether CuPy was told to allow TF32.
    method : {"gemm", "explicit"}
        How arrays of floats are convolved; integers always by ``"gemm"``.

    Attributes
    ----------
    uploads, downloads : int
        How many arrays were moved from and to the host.
    """

    def __init__(self, cupy: Any, xp: Any, device: str, tf32: bool, method: str = "gemm") -> None:
        super().__init__("cupy", xp, device)
        self.cupy, self.tf32, self.method = cupy, tf32, method
        self.deterministic = method == "gemm"
        self.uploads = self.downloads = 0
        self._staged: list[tuple[Any, Any]] = []

    def asarray(self, x: Any, dtype: str | None = None) -> Array:
        """Return `x` on the device; what is there already is not moved."""
        if isinstance(x, self.cupy.ndarray):
            return x if dtype is None or x.dtype == dtype else x.astype(dtype)
        self.uploads += 1
        host = np.ascontiguousarray(x, dtype=dtype)
        return self._upload(host) if host.nbytes >= PINNED else self.cupy.asarray(host)

    def _upload(self, host: NDArray[Any]) -> Array:
        """Copy through page-locked memory, without waiting: the next batch travels during computation."""
        pinned = self.cupy.cuda.alloc_pinned_memory(host.nbytes)
        staged = np.frombuffer(pinned, host.dtype, host.size).reshape(host.shape)
        staged[...] = host
        stream, found = self.cupy.cuda.get_current_stream(), self.cupy.empty(host.shape, host.dtype)
        found.set(staged, stream=stream)
        # Page-locked memory must stay until the copy is done.
        self._staged = [(memory, event) for memory, event in self._staged if not event.done]
        self._staged.append((staged, stream.record()))
        return found

    def to_numpy(self, x: Array) -> NDArray[Any]:
        """Return `x` on the host; the only place where the host waits for the device."""
        self.downloads += isinstance(x, self.cupy.ndarray)
        return np.asarray(self.cupy.asnumpy(x))

    def convolution(self, stencil: Array, geometry: Geometry) -> Any:
        """Prepare a stencil for application."""
        if self.method == "explicit" and stencil.dtype.kind in "fc":
            return ExplicitConvolution(self.cupy, self.to_numpy(stencil), geometry)
        return GemmConvolution(self, stencil, geometry)

    def synchronize(self) -> None:
        """Wait until everything that was begun is finished."""
        self.cupy.cuda.get_current_stream().synchronize()

    def release(self) -> None:
        """Give the memory pools' free blocks back to the device and to the host."""
        self.cupy.get_default_memory_pool().free_all_blocks()
        self.cupy.get_default_pinned_memory_pool().free_all_blocks()
