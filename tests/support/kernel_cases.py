"""What the tests of all kernels share."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_on_cpu import NO_COMPILER, cupy_on_cpu, has_compiler
from every_backend import BACKENDS

from refmg_backends import (
    Geometry,
    get_backend,
)

ON_CPU = pytest.param("cupy on the CPU", marks=pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER))

GEOMETRIES = [
    Geometry(shape, width, boundary, (stride,) * len(shape))
    for shape, width in [
        ((6,), (3,)),
        ((2,), (5,)),
        ((4, 5), (3, 3)),
        ((1, 3), (3, 5)),
        ((3, 2, 4), (3, 3, 3)),
    ]
    for boundary in ("periodic", "zero", "reflect")
    for stride in (1, 2)
]

every_geometry = pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)

EXAMPLES = 3


@pytest.fixture(name="backend", params=[*BACKENDS, ON_CPU])
def every_kernel_backend(request):
    return cupy_on_cpu() if request.param == "cupy on the CPU" else get_backend(request.param)


def data(geometry, channels=(3, 2), draw="integers", dtype=None):
    """Stencil, input and output features; integers make every comparison exact."""
    rng = np.random.default_rng(geometry.taps)
    shapes = [
        (*channels, *geometry.width),
        (channels[1], geometry.cells, EXAMPLES),
        (channels[0], geometry.out_cells, EXAMPLES),
    ]
    arrays = [rng.integers(-9, 10, n) if draw == "integers" else rng.standard_normal(n) for n in shapes]
    return [a.astype(dtype or a.dtype) for a in arrays]


def results(backend, s, Y, Z, geometry):
    """All kernels, on the host."""
    kernel = backend.convolution(s, geometry)
    made = kernel.apply(Y), kernel.apply_transpose(Z), backend.stencil_gradient(Y, Z, geometry)
    return [np.array(backend.to_numpy(array)) for array in made]
