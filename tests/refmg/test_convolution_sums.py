"""Products that are added to something, more examples than any other size, and arrays of another place."""

import numpy as np
import pytest

from refmg import Convolution, RefmgError

C_IN, C_OUT, SHAPE = 2, 3, (5, 4)


@pytest.fixture
def K():
    stencil = np.random.default_rng(0).integers(-4, 5, (C_OUT, C_IN, 3, 3)).astype(float)
    return Convolution(stencil, SHAPE, backend="numpy")


def features(channels, examples):
    return np.random.default_rng(examples).integers(-9, 10, (channels, *SHAPE, examples)).astype(float)


@pytest.mark.parametrize("examples", [1, 2, 3, 7])
def test_a_product_is_added_for_any_number_of_examples(K, examples):
    Y, Z = features(C_IN, examples), features(C_OUT, examples)
    assert np.array_equal(K.apply(Y, add_to=Z), K.apply(Y) + Z)
    assert np.array_equal(K.apply_transpose(Z, add_to=Y), K.apply_transpose(Z) + Y)
    with pytest.raises(RefmgError, match=rf"expected \({C_IN}, 5, 4, {examples}\)"):
        K.apply_transpose(Z, add_to=features(C_IN, examples + 1))


def test_a_stencil_gradient_of_many_examples_is_the_sum_of_its_halves(K):
    Y, Z = features(C_IN, 300), features(C_OUT, 300)
    halves = [K.stencil_gradient(Y[..., part], Z[..., part]) for part in (slice(0, 150), slice(150, 300))]
    assert np.array_equal(K.stencil_gradient(Y, Z), sum(halves))  # integers: no rounding


def test_numpy_arrays_are_refused_where_the_backend_has_others():
    K = Convolution(np.ones(3), (5,), backend="array-api-strict")
    for operation in (K.apply, K.apply_transpose, lambda Y: K.stencil_gradient(Y, Y)):
        with pytest.raises(
            RefmgError, match="found a NumPy array; expected one of backend 'array-api-strict'"
        ):
            operation(np.ones((1, 5, 2)))
