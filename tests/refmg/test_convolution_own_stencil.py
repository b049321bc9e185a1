"""A convolution keeps its own copy of a stencil that is an array of its backend."""

import numpy as np
import pytest
from convolution_cases import on

from refmg.convolution import Convolution, convolution_matrix
from refmg_backends import get_backend

EXPECTED = convolution_matrix([1.0, -2.0, 1.0], (5,)).toarray()


@pytest.mark.parametrize("shape", [(3,), (1, 1, 3)])
@pytest.mark.parametrize("name", ["numpy", "array-api-strict"])  # arrays that can be written to
def test_a_stencil_of_the_backend_changed_afterwards_does_not_change_the_operator(name, shape):
    backend = get_backend(name)
    s = backend.xp.reshape(backend.asarray(np.array([1.0, -2.0, 1.0])), shape)
    K = Convolution(s, (5,), backend=backend)
    s[...] = 0.0
    found = backend.to_numpy(K.apply(on(K, np.eye(5)[None])))[0]
    assert np.array_equal(found, EXPECTED)
    assert np.array_equal(K.matrix().toarray(), EXPECTED)
