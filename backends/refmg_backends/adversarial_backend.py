"""``adversarial-numpy``: a CPU twin of a GPU library that fails where one would fail.

Its arrays are read-only, refuse to become NumPy arrays unasked, refuse to meet NumPy arrays in one
operation, and are full of NaN where they are "uninitialised". Each transfer from or to the host is
counted.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import memmove
from types import SimpleNamespace
from typing import Any

import numpy as np
from array_api_compat import numpy as host
from numpy.typing import NDArray

from refmg_backends.gemm_kernels import GemmBackend


class HostTransfers:
    """How often data crossed between host and device since :meth:`clear`."""

    def __init__(self) -> None:
        self.clear()

    def __repr__(self) -> str:
        return f"{self.to_device} to the device, {self.to_host} to the host, {self.scalars} scalars read"

    def clear(self) -> None:
        """Begin again at zero."""
        self.to_device = self.to_host = self.scalars = 0


TRANSFERS = HostTransfers()


class DeviceArray:
    """An array on a pretended device.

    Parameters
    ----------
    values : ndarray
        The values; kept as a read-only view.
    """

    __array_priority__ = 1000

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values.view()
        self._values.setflags(write=False)

    def __array__(self, *unused: Any, **ignored: Any) -> Any:
        raise TypeError("implicit conversion of a device array to NumPy; use backend.to_numpy")

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return NAMESPACE

    def __repr__(self) -> str:
        return f"DeviceArray({self._values!r})"

    def __getitem__(self, key: Any) -> DeviceArray:
        return _wrap(self._values[_unwrap(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("a device array is read-only: another kernel may be reading it")

    def __iter__(self) -> Any:
        raise TypeError("iterating over a device array would read it element by element")

    def __len__(self) -> int:
        return len(self._values)

    def _scalar(self, kind: Callable[[Any], Any]) -> Any:
        TRANSFERS.scalars += 1
        return kind(self._values)

    def __float__(self) -> float:
        return float(self._scalar(float))

    def __int__(self) -> int:
        return int(self._scalar(int))

    def __bool__(self) -> bool:
        return bool(self._scalar(bool))

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self._values.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._values.ndim

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._values.size

    @property
    def dtype(self) -> Any:
        """Type of the entries."""
        return self._values.dtype

    @property
    def device(self) -> str:
        """Where it pretends to be."""
        return "adversarial"

    @property
    def T(self) -> DeviceArray:
        """The transpose of a matrix."""
        return _wrap(self._values.T)

    @property
    def data(self) -> SimpleNamespace:
        """Where the numbers are, as CuPy says it."""
        return SimpleNamespace(ptr=self._values.ctypes.data)

    def astype(self, dtype: Any) -> DeviceArray:
        """Return a copy of another type."""
        return _wrap(self._values.astype(dtype))

    def set(self, host: NDArray[Any], stream: Any = None) -> None:
        """Overwrite all entries from the host, a transfer."""
        TRANSFERS.to_device += 1
        ordered = np.ascontiguousarray(np.broadcast_to(host, self.shape), self.dtype)
        memmove(self.data.ptr, ordered.ctypes.data, ordered.nbytes)


def _unwrap(value: Any) -> Any:
    if isinstance(value, DeviceArray):
        return value._values
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array in an operation on the device; use backend.asarray first")
    if isinstance(value, tuple | list):
        return type(value)(_unwrap(part) for part in value)
    return value


def _wrap(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(np.asarray(value))
    if isinstance(value, tuple | list):
        return type(value)(_wrap(part) for part in value)
    return value


def _operator(name: str) -> Callable[..., Any]:
    def method(self: DeviceArray, *others: Any) -> Any:
        found = getattr(self._values, name)(*(_unwrap(other) for other in others))
        return found if found is NotImplemented else _wrap(found)

    return method


_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
_PLAIN = ("neg", "pos", "abs", "invert", "eq", "ne", "lt", "le", "gt", "ge")
for _name in (*_BINARY, *(f"r{name}" for name in _BINARY), *_PLAIN):
    setattr(DeviceArray, f"__{_name}__", _operator(f"__{_name}__"))


class DeviceNamespace:
    """The array-API functions of NumPy on device arrays."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(host, name)
        if isinstance(found, type) or not callable(found):
            return found

        def function(*arguments: Any, **options: Any) -> Any:
            # What any library does silently, an upload: asked for by name, and counted.
            if name in ("asarray", "array") and not isinstance(arguments[0], DeviceArray):
                TRANSFERS.to_device += 1
                return DeviceArray(np.array(arguments[0], dtype=options.get("dtype")))
            inside = {key: _unwrap(value) for key, value in options.items()}
            return _wrap(found(*(_unwrap(argument) for argument in arguments), **inside))

        return function

    def empty(self, shape: Any, dtype: Any = None) -> DeviceArray:
        """Return an array that holds what no result may depend on."""
        values = np.empty(shape, dtype)
        values.fill(np.nan if values.dtype.kind in "fc" else np.iinfo(values.dtype).min)
        return DeviceArray(values)

    def empty_like(self, x: DeviceArray, dtype: Any = None) -> DeviceArray:
        """Return an array of the shape of `x` that holds what no result may depend on."""
        return self.empty(x.shape, dtype or x.dtype)


NAMESPACE: Any = DeviceNamespace()


class AdversarialBackend(GemmBackend):
    """The GPU backend's kernels on arrays that behave like those of a GPU at its worst."""

    def __init__(self) -> None:
        super().__init__("adversarial-numpy", NAMESPACE)
        self.transfers = TRANSFERS

    def asarray(self, x: Any, dtype: str | None = None) -> DeviceArray:
        """Return `x` on the device."""
        if isinstance(x, DeviceArray):
            return x if dtype is None or x.dtype == dtype else DeviceArray(x._values.astype(dtype))
        TRANSFERS.to_device += 1
        return DeviceArray(np.array(x, dtype=dtype))

    def to_numpy(self, x: Any) -> NDArray[Any]:
        """Return a copy of `x` on the host."""
        TRANSFERS.to_host += isinstance(x, DeviceArray)
        return x._values.copy() if isinstance(x, DeviceArray) else np.asarray(x)
