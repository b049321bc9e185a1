"""The ``cupy`` backend: arrays on an NVIDIA GPU, convolutions by CUDA kernels or large matrix products."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from refmg_backends.activation import Activation
from refmg_backends.backend import Array, ConvolutionKernel
from refmg_backends.cuda_choice import METHODS, Shape, faster, gradient_seconds
from refmg_backends.cuda_convolution import CupyConvolution
from refmg_backends.cuda_kernels import direct, normalize, pointwise
from refmg_backends.cuda_kernels.launch import Kernels, activation_code, same_floats
from refmg_backends.environment import tf32_asked
from refmg_backends.errors import BackendUnavailableError, RefmgError, one_of
from refmg_backends.gemm_kernels import GemmBackend
from refmg_backends.geometry import Geometry

CAPABILITY = 8, 0  # sm_80: the first whose blocks copy asynchronously (cp.async, by the PTX manual)
PINNED = 1 << 20  # bytes; smaller uploads do not gain from page-locked memory
FULL, TF32 = 1, 7  # CuPy's compute types COMPUTE_TYPE_DEFAULT and COMPUTE_TYPE_TF32
NO_MEMORY = 2  # cudaErrorMemoryAllocation
AHEAD = 4  # uploads that may be under way; more hide nothing and hold page-locked memory
T = TypeVar("T")


def load_cupy_backend() -> CupyBackend:
    """Return the backend, if CuPy and a device are there.

    Raises
    ------
    ImportError
        If CuPy is not installed.
    BackendUnavailableError
        If it finds no device, or one whose compute capability is too low.
    """
    asked = tf32_asked()
    import cupy
    from array_api_compat import cupy as xp

    versions = f"CuPy {cupy.__version__}, CUDA {cupy.cuda.runtime.runtimeGetVersion()}"
    device = f"{require_device(cupy)}, {versions}"
    return CupyBackend(cupy, xp, device, allow_tf32(cupy, asked))


def allow_tf32(cupy: Any, asked: bool) -> bool:
    """Tell CuPy, for the whole process, whether float32 products may use TF32; return whether they will.

    CuPy takes ``CUPY_TF32`` from the shell at its first float32 product, which may have been made before:
    neither what the user's shell says nor what was decided then may change results unasked.

    Raises
    ------
    RefmgError
        If it is asked for, but ``NVIDIA_TF32_OVERRIDE=0`` forbids it to every library.
    """
    if asked and os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":
        raise RefmgError(
            "found REFMG_TF32=1 and NVIDIA_TF32_OVERRIDE=0, which forbids TF32; expected one of them"
        )
    core = cupy._core
    core.set_compute_type("f", TF32 if asked else FULL)
    return bool(core.get_compute_type("f") == TF32)


def require_device(cupy: Any) -> str:
    """Return the name of the current device.

    Raises
    ------
    BackendUnavailableError
        If there is none, the driver is missing or too old, or the compute capability is below 8.0.
    """
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        found = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id) if count else None
    except Exception as error:  # CuPy raises its own kinds, which cannot be named without its libraries
        found, reason = None, f"{type(error).__name__}: {error}"
    else:
        reason = "CuPy counts no device"
    if found is None:
        raise BackendUnavailableError(
            f"backend 'cupy' is installed but found no GPU ({reason}); "
            "run on a machine with an NVIDIA GPU and driver, or choose REFMG_BACKEND=numba"
        )
    name = found["name"].decode() if isinstance(found["name"], bytes) else str(found["name"])
    require_capability(name, (found["major"], found["minor"]))
    return f"cuda: {name}"


def require_capability(name: str, found: tuple[int, int]) -> None:
    """Refuse a device that cannot run the kernels.

    Raises
    ------
    BackendUnavailableError
        If its compute capability is below 8.0.

    Examples
    --------
    >>> require_capability("Tesla T4", (7, 5))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    refmg_backends.errors.BackendUnavailableError: backend 'cupy' found Tesla T4 of compute capability 7.5...
    """
    if found < CAPABILITY:
        raise BackendUnavailableError(
            "backend 'cupy' found {} of compute capability {}.{}; expected at least {}.{}, as kernels copy "
            "asynchronously; choose another device by CUDA_VISIBLE_DEVICES, or REFMG_BACKEND=numba".format(
                name, *found, *CAPABILITY
            )
        )


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
    method : {"direct", "gemm", "explicit"}, optional
        How arrays of floats are convolved; by default what :mod:`refmg_backends.cuda_choice` says for
        each shape. Other types always by ``"gemm"``.

    Attributes
    ----------
    uploads, downloads : int
        How many arrays were moved from and to the host.

    Raises
    ------
    RefmgError
        If there is no such method.
    """

    def __init__(self, cupy: Any, xp: Any, device: str, tf32: bool, method: str | None = None) -> None:
        super().__init__("cupy", xp, device)
        if method is not None and method not in METHODS:
            raise RefmgError(one_of("method", method, METHODS))
        self.cupy, self.tf32, self.method = cupy, tf32, method
        # cupyx's products of sparse and dense matrices are not repeatable to the last bit.
        self.deterministic = method != "explicit"
        self.uploads = self.downloads = 0
        self.kernels = Kernels(cupy)
        self._staged: list[tuple[Any, Any]] = []
        self._tables: dict[tuple[Geometry, bool], direct.Table] = {}
        # One that does not wait for the default stream, which others wait for otherwise.
        self._feeding = cupy.cuda.Stream(non_blocking=True)

    def by(self, method: str | None) -> CupyBackend:
        """Return a backend on the same device that convolves by this method."""
        return CupyBackend(self.cupy, self.xp, self.device, self.tf32, method)

    def asarray(self, x: Any, dtype: str | None = None) -> Array:
        """Return `x` on the device; what is there already is not moved."""
        if isinstance(x, self.cupy.ndarray):
            return x if dtype is None or x.dtype == dtype else x.astype(dtype)
        self.uploads += 1
        host = np.asarray(x, dtype=dtype, order="C")
        return self._upload(host) if host.nbytes >= PINNED else self.cupy.asarray(host)

    def _upload(self, host: NDArray[Any]) -> Array:
        """Copy through page-locked memory, without waiting: the next batch travels during computation."""
        pinned = self._page_locked(host.nbytes)
        staged = np.frombuffer(pinned, host.dtype, host.size).reshape(host.shape)
        staged[...] = host
        stream, found = self.cupy.cuda.get_current_stream(), self.cupy.empty(host.shape, host.dtype)
        found.set(staged, stream=stream)
        # Page-locked memory must stay until the copy is done.
        self._staged = [(memory, event) for memory, event in self._staged if not event.done]
        self._staged.append((staged, stream.record()))
        # Nothing else waits for the device during a pass: the host would lock memory for all batches.
        while len(self._staged) > AHEAD:
            self._staged.pop(0)[1].synchronize()
        return found

    def _page_locked(self, size: int) -> Any:
        """Return page-locked memory; where there is no more of it, that is a MemoryError as any other."""
        runtime = self.cupy.cuda.runtime
        try:
            return self.cupy.cuda.alloc_pinned_memory(size)
        except runtime.CUDARuntimeError as error:
            if error.status != NO_MEMORY:
                raise
            raise MemoryError(f"no page-locked memory for {size} bytes: {error}") from error

    def to_numpy(self, x: Array) -> NDArray[Any]:
        """Return `x` on the host, which waits for the device; so does reading a number, such as a loss."""
        self.downloads += isinstance(x, self.cupy.ndarray)
        return np.asarray(self.cupy.asnumpy(x))

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Return memory on the device that holds anything."""
        return self.cupy.empty(shape, dtype)

    def contiguous(self, x: Array) -> Array:
        """Return `x` with its numbers in order, which is `x` itself where they are."""
        return self.cupy.ascontiguousarray(x)

    def table(self, geometry: Geometry, transposed: bool) -> direct.Table:
        """Return the kernels' table of a convolution or its transpose, moved once."""
        key = geometry, transposed
        if key not in self._tables:
            self._tables[key] = (direct.backward_table if transposed else direct.forward_table)(
                self, geometry
            )
        return self._tables[key]

    def keep(self, make: Callable[[], T]) -> Callable[[], T]:
        """Make something on the current stream; other streams that ask for it wait until it is there.

        They wait on the device, by an event (``cudaStreamWaitEvent``); the host goes on.
        """
        made, stream = make(), self.cupy.cuda.get_current_stream()
        pending = [stream.record()]

        def give() -> T:
            if pending and pending[0].done:
                pending.clear()
            for event in pending:
                self.cupy.cuda.get_current_stream().wait_event(event)
            return made

        return give

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield `function` of each item in order; the next item is fetched on a stream of its own meanwhile.

        Memory of an item belongs to that stream: before it is lent again there, the stream waits for all
        work that was begun on the current one.
        """
        feeding, iterator, end = self._feeding, iter(items), object()

        def fetch(current: Any) -> tuple[Any, Any]:
            feeding.wait_event(current.record())
            with feeding:
                return next(iterator, end), feeding.record()

        item, ready = fetch(self.cupy.cuda.get_current_stream())
        while item is not end:
            current = self.cupy.cuda.get_current_stream()
            following = fetch(current)
            current.wait_event(ready)
            yield function(item)
            item, ready = following

    def convolution(self, stencil: Array, geometry: Geometry) -> Any:
        """Prepare a stencil for application."""
        return CupyConvolution(self, stencil, geometry)

    def stencil_gradient(self, Y: Array, Z: Array, geometry: Geometry) -> Array:
        """Return the taps ``G_j = Z (C_j Y)^T``."""
        if self.gradient_method(Y, Z, geometry) != "direct":
            return super().stencil_gradient(Y, Z, geometry)
        G = direct.stencil_gradient(self, Y, Z, self.table(geometry, False))
        return self.xp.reshape(G, (*G.shape[:2], *geometry.width))

    def gradient_method(self, Y: Array, Z: Array, geometry: Geometry) -> str:
        """Return by which method a stencil gradient will be computed; there is no explicit one."""
        if self.method == "explicit" or not same_floats(Y, Z):
            return "gemm"
        sizes = Z.shape[0], Y.shape[0], geometry.taps, geometry.cells, geometry.out_cells, Y.shape[2]
        return self.method or faster(gradient_seconds(Shape(*sizes), Y.dtype.name, self.tf32))

    def chosen(self, kernel: CupyConvolution, Y: Array, Z: Array) -> dict[str, str]:
        """Return the method of each operation on features ``Y`` before and ``Z`` behind a convolution."""
        return {
            "convolve": kernel.method(Y),
            "transpose": kernel.method(Z, transposed=True),
            "stencil gradient": self.gradient_method(Y, Z, kernel.geometry),
        }

    def activated(
        self,
        kernel: ConvolutionKernel,
        Y: Array,
        bias: Array,
        activation: Activation,
        base: Array | None = None,
        scale: float = 1.0,
        slope: bool = False,
    ) -> tuple[Array, Array | None]:
        """Return ``base + scale * sigma(K Y + b)`` and its slope, in one pass over the sums."""
        code, others = activation_code(activation), [] if base is None else [base]
        ours = isinstance(kernel, CupyConvolution) and same_floats(kernel.stencil, Y, bias, *others)
        if code is None or not ours:
            return super().activated(kernel, Y, bias, activation, base, scale, slope)
        if kernel.method(Y) == "direct":  # type: ignore[attr-defined]
            return kernel.direct.apply(Y, base, bias, code, scale, slope)  # type: ignore[attr-defined]
        return pointwise.activate(self, kernel.apply(Y), bias, code, base, scale, slope)

    def tangent(
        self, slope: Array, X: Array, bias: Array, base: Array | None = None, scale: float = 1.0
    ) -> Array:
        """Return ``base + scale * slope * (X + b)`` in one pass."""
        if not same_floats(slope, X, bias, *([] if base is None else [base])):
            return super().tangent(slope, X, bias, base, scale)
        return pointwise.tangent(self, slope, X, bias, base, scale)

    def cotangent(self, slope: Array, P: Array, scale: float = 1.0) -> tuple[Array, Array]:
        """Return ``Q = scale * slope * P`` and its sums by channel, in one pass."""
        if not same_floats(slope, P):
            return super().cotangent(slope, P, scale)
        return pointwise.cotangent(self, slope, P, scale)

    def moments(self, X: Array) -> tuple[Array, Array]:
        """Return mean and biased variance of each channel, in one pass."""
        return normalize.moments(self, X) if same_floats(X) else super().moments(X)

    def normalized(
        self,
        X: Array,
        mean: Array,
        scale: Array,
        shift: Array,
        base: Array | None = None,
        rectify: bool = False,
    ) -> Array:
        """Return ``base + scale (X - mean) + shift``, rectified on request, in one pass."""
        if not same_floats(X, mean, scale, shift, *([] if base is None else [base])):
            return super().normalized(X, mean, scale, shift, base, rectify)
        return normalize.normalized(self, X, mean, scale, shift, base, rectify)

    def rectified_sums(
        self, P: Array, X: Array, mean: Array, Y: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Return ``Q = P`` where ``Y > 0``, and the sums of Q and of ``Q (X - mean)``, in one pass."""
        if not same_floats(P, X, mean, *([] if Y is None else [Y])):
            return super().rectified_sums(P, X, mean, Y)
        return normalize.rectified_sums(self, P, X, mean, Y)

    def combined(self, Q: Array, X: Array, mean: Array, a: Array, b: Array, c: Array) -> Array:
        """Return ``a Q + b (X - mean) + c``, in one pass."""
        if not same_floats(Q, X, mean, a, b, c):
            return super().combined(Q, X, mean, a, b, c)
        return normalize.combined(self, Q, X, mean, a, b, c)

    def synchronize(self) -> None:
        """Wait until everything that was begun is finished."""
        self.cupy.cuda.get_current_stream().synchronize()

    def release(self) -> None:
        """Give tables, and the memory pools' free blocks, back to the device and to the host.

        Tables that are needed again are moved again.
        """
        self.cupy.cuda.runtime.deviceSynchronize()  # what was begun, on any stream, may be reading them
        self._staged.clear()
        self._tables.clear()
        self.forget_tables()
        self.cupy.get_default_memory_pool().free_all_blocks()
        self.cupy.get_default_pinned_memory_pool().free_all_blocks()
