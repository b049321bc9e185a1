"""A stand-in for CuPy: arrays of the adversarial twin, and kernels compiled by g++ from their CUDA source.

``Module`` takes the place of ``cupy.RawModule``. Every array that a kernel gets lies between guards of NaN
that must not change, so that reading beyond an array spoils the result and writing beyond it is an error.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np

from refmg_backends.adversarial_backend import NAMESPACE, TRANSFERS, DeviceArray
from refmg_backends.cupy_backend import CupyBackend, require_device

NO_COMPILER = "runs the CUDA kernels on the CPU: needs g++"
HEADER = Path(__file__).with_name("cuda_on_cpu.h")
FLAGS, STANDARD = ("-O1", "-fPIC", "-w"), "-std=c++17"
GUARD = 1024  # bytes, a multiple of 16
# The order in which the threads of a block run, and when asynchronous copies land; tests turn both around.
ORDER = SimpleNamespace(backwards=False, at_once=False)


def has_compiler():
    return shutil.which("g++") is not None


def compiled(arguments):
    subprocess.run(["g++", *arguments], check=True, capture_output=True, text=True)


@cache
def standard_headers(folder):
    """Return a file that includes what HEADER does; precompiled beside it: to read it takes a third."""
    text = "\n".join(re.findall("#include <.*>", HEADER.read_text())) + "\n"
    compiler = subprocess.run(["g++", "--version"], check=True, capture_output=True, text=True).stdout
    key = hashlib.sha256("\n".join([text, compiler, *FLAGS]).encode()).hexdigest()[:24]
    header = folder / f"{key}.h"
    with tempfile.TemporaryDirectory(dir=folder) as new:
        unit, out = Path(new, header.name), Path(new, "precompiled")
        unit.write_text(text)
        if not header.with_suffix(".h.gch").exists():
            compiled([*FLAGS, STANDARD, "-x", "c++-header", unit, "-o", out])
            out.replace(header.with_suffix(".h.gch"))
        unit.replace(header)
    return header


def library(code, options):
    """Compile, once for all processes of this user on this machine."""
    names = re.findall(r'extern "C" __global__ void[^(]*(?:\([^)]*\))? (\w+)\(', code)
    text = f'#include "{HEADER}"\n' + code + "".join(f"\nLAUNCHER({name})" for name in names) + "\n"
    flags = [*FLAGS, "-shared", "-Werror=return-type", *options]
    key = hashlib.sha256("\n".join([text, HEADER.read_text(), *flags]).encode()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / f"refmg-cuda-on-cpu-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    made = folder / f"{key}.so"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=folder) as new:
            unit, out = Path(new, "kernels.cpp"), Path(new, "kernels.so")
            unit.write_text(text)
            compiled(["-include", standard_headers(folder), *flags, unit, "-o", out])
            out.replace(made)
    return ctypes.CDLL(str(made))


class Module:
    """``cupy.RawModule`` for source whose kernels are ``extern "C"``."""

    def __init__(self, code, *, options=(), backend="nvrtc"):
        if any("fast" in option for option in options):
            raise ValueError(f"found {options}; expected exact arithmetic")
        self.library = library(code, options)

    def get_function(self, name):
        return Kernel(self.library, name)


class Guarded:
    """A copy of an array's bytes between guards, as far off a 16-byte boundary as the array is."""

    def __init__(self, array):
        if not array._values.flags.c_contiguous:
            raise ValueError("a kernel was given an array whose numbers do not lie in order")
        self.array, self.size = array, array._values.nbytes
        self.buffer = np.full(self.size + 2 * GUARD + 16, 0xFF, np.uint8)
        self.first = GUARD + (array.data.ptr - self.buffer.ctypes.data - GUARD) % 16
        self.inside = self.buffer[self.first : self.first + self.size]
        self.inside[...] = np.frombuffer(array._values.tobytes(), np.uint8)
        self.pointer = ctypes.c_void_p(self.buffer.ctypes.data + self.first)

    def back(self):
        outside = [self.buffer[: self.first], self.buffer[self.first + self.size :]]
        if not all((part == 0xFF).all() for part in outside):
            raise IndexError(f"a kernel wrote beyond an array of shape {self.array.shape}")
        ctypes.memmove(self.array.data.ptr, self.pointer, self.size)


class Kernel:
    """A function of a module, called as CuPy's are."""

    def __init__(self, library, name):
        self.name = name
        self.run, self.count = getattr(library, f"launch_{name}"), getattr(library, f"arguments_of_{name}")()

    def __call__(self, grid, block, arguments, *, shared_mem=0):
        if len(arguments) != self.count:
            raise TypeError(f"{self.name} takes {self.count} arguments, {len(arguments)} were given")
        guarded = [Guarded(a) if isinstance(a, DeviceArray) else None for a in arguments]
        kept = [np.array(a) if g is None else g.pointer for a, g in zip(arguments, guarded, strict=True)]
        addresses = [a.ctypes.data if isinstance(a, np.ndarray) else ctypes.addressof(a) for a in kept]
        x, y = (*grid, 1)[:2]
        sizes = map(ctypes.c_uint, (x, y, block[0]))
        pointers = (ctypes.c_void_p * len(addresses))(*addresses)
        order = int(ORDER.backwards), int(ORDER.at_once)
        if self.run(*sizes, ctypes.c_size_t(shared_mem), *order, pointers):
            raise IndexError(f"{self.name} wrote beyond the shared memory of a block")
        for array in guarded:
            if array is not None:
                array.back()


class Event:
    done = True
    waited = 0  # by the host

    def synchronize(self):
        self.waited += 1
        self.done = True


class Stream:
    """A stream that finishes everything at once, and notes who waited for whom."""

    current: ClassVar[list[Stream]] = []

    def __init__(self, non_blocking=False):
        self.log = []

    def record(self):
        event = Event()
        event.stream = self
        self.log.append("record")
        return event

    def wait_event(self, event):
        self.log.append(("wait", event.stream))

    def synchronize(self):
        self.log.append("synchronize")

    def __enter__(self):
        Stream.current.append(self)
        return self

    def __exit__(self, *error):
        Stream.current.pop()


class CUDARuntimeError(RuntimeError):
    def __init__(self, status):
        super().__init__(f"error {status} of the stand-in")
        self.status = status


class SparseMatrix:
    """``cupyx.scipy.sparse.csr_matrix``, of floats; looks through itself unless it is told what it is."""

    looked_through = 0

    def __init__(self, host):
        if host.dtype.kind not in "fc":
            raise ValueError(f"found {host.dtype}; cupyx has floats only")
        TRANSFERS.to_device += 1
        self._host, self.shape, self._canonical = host.copy(), host.shape, None

    @property
    def has_canonical_format(self):
        if self._canonical is None:
            SparseMatrix.looked_through += 1
            self._canonical = bool(self._host.has_canonical_format)
        return self._canonical

    @has_canonical_format.setter
    def has_canonical_format(self, value):
        self._canonical = value

    def __matmul__(self, X):
        assert self.has_canonical_format
        return DeviceArray(self._host @ X._values)


def cupyx_stand_in(monkeypatch):
    """Put a ``cupyx.scipy.sparse`` where it is imported from."""
    modules = {"cupyx": {}, "cupyx.scipy": {}, "cupyx.scipy.sparse": {"csr_matrix": SparseMatrix}}
    for name, content in modules.items():
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**content))
    monkeypatch.setattr(SparseMatrix, "looked_through", 0)


def compute_types():
    """CuPy's choice for each type of numbers: made when first asked for, from the shell."""
    chosen = {}

    def get(kind):
        return chosen.setdefault(kind, 7 if int(os.getenv("CUPY_TF32", "0")) > 0 else 1)

    return SimpleNamespace(get_compute_type=get, set_compute_type=chosen.__setitem__)


def cupy_stand_in(devices=1, capability=(9, 0)):
    """Return an object with what the backend uses of CuPy."""
    default, pool = Stream(), SimpleNamespace(free_all_blocks=lambda: None)

    def on_device(x):
        TRANSFERS.to_device += 1
        return DeviceArray(np.array(x))

    def on_host(x):
        TRANSFERS.to_host += isinstance(x, DeviceArray)
        return np.array(x._values if isinstance(x, DeviceArray) else x)

    properties = {"name": b"Stand-in", "major": capability[0], "minor": capability[1]}
    runtime = SimpleNamespace(
        getDeviceCount=lambda: devices,
        getDeviceProperties=lambda i: properties,
        deviceSynchronize=lambda: default.log.append("device synchronized"),
        runtimeGetVersion=lambda: 12090,
        CUDARuntimeError=CUDARuntimeError,
    )
    cuda = SimpleNamespace(
        runtime=runtime,
        Device=lambda: SimpleNamespace(id=0),
        Stream=Stream,
        alloc_pinned_memory=bytearray,
        get_current_stream=lambda: Stream.current[-1] if Stream.current else default,
    )
    return SimpleNamespace(
        ndarray=DeviceArray,
        asarray=on_device,
        asnumpy=on_host,
        empty=NAMESPACE.empty,
        ascontiguousarray=lambda x: x if x._values.flags.c_contiguous else DeviceArray(x._values.copy()),
        RawModule=Module,
        _core=compute_types(),
        __version__="14.0",
        cuda=cuda,
        get_default_memory_pool=lambda: pool,
        get_default_pinned_memory_pool=lambda: pool,
    )


def cupy_on_cpu(method=None, tf32=False):
    """Return the backend on the stand-in."""
    cupy = cupy_stand_in()
    return CupyBackend(cupy, NAMESPACE, require_device(cupy), tf32, method)
