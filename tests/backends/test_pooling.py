"""The kernels of pooling against loops over windows, on every backend."""

import numpy as np
import pytest

from refmg_backends import Geometry, RefmgError, get_backend
from refmg_backends.pooling import max_pool, max_pool_adjoint

C, M = 3, 5
WINDOWS = [
    Geometry((7,), (3,), "zero", (2,)),
    Geometry((4, 6), (3, 3), "reflect", (2, 2)),
    Geometry((5, 4), (3, 5), "periodic", (1, 2)),
    Geometry((9, 10), (3, 3), "zero", (2, 2)),
]
every_window = pytest.mark.parametrize("window", WINDOWS, ids=str)


def few_values(window, dtype="float64"):
    """Integers, so that sums are exact, of few values, so that the largest is often reached twice."""
    rng = np.random.default_rng(0)
    Y = rng.integers(-4, 0, (C, window.cells, M)).astype(dtype)
    return Y, rng.integers(-9, 10, (C, window.out_cells, M)).astype(dtype)


def by_loops(window, Y, P):
    """The maxima, their taps, and the adjoint, number by number."""
    best, choice, back = np.zeros_like(P), np.zeros(P.shape, np.int8), np.zeros_like(Y)
    for c, o, l in np.ndindex(P.shape):
        taps = [t for t in range(window.taps) if window.table[t, o] >= 0]
        t = max(taps, key=lambda t: (Y[c, window.table[t, o], l], -t))
        cell = window.table[t, o]
        best[c, o, l], choice[c, o, l] = Y[c, cell, l], t
        back[c, cell, l] += P[c, o, l]
    return best, choice, back


@every_window
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_maxima_choice_and_adjoint_are_those_of_loops(backend, window, dtype):
    Y, P = few_values(window, dtype)
    best, choice, back = by_loops(window, Y, P)
    found, taps = backend.max_pool(backend.asarray(Y), window, choice=True)
    alone, nothing = backend.max_pool(backend.asarray(Y), window)
    returned = backend.max_pool_adjoint(taps, backend.asarray(P), window)
    assert nothing is None
    for ours, expected in ((found, best), (alone, best), (taps, choice), (returned, back)):
        assert np.array_equal(backend.to_numpy(ours), expected)
        assert backend.to_numpy(ours).dtype == expected.dtype
    # The last of equal ones would be noticed.
    assert not np.array_equal(choice, by_loops(window, Y[:, ::-1], P)[1])


def test_a_nan_is_passed_on_as_by_the_reference(backend):
    window = WINDOWS[-1]
    Y, P = few_values(window)
    Y[0, ::7, 0], Y[1, 3, :] = np.nan, -np.inf
    plain = get_backend("numpy")
    best, choice = max_pool(plain, Y, window, True)
    found, taps = backend.max_pool(backend.asarray(Y), window, True)
    assert np.array_equal(backend.to_numpy(found), best, equal_nan=True)
    assert np.array_equal(backend.to_numpy(taps), choice)
    back = backend.to_numpy(backend.max_pool_adjoint(taps, backend.asarray(P), window))
    assert np.array_equal(back, max_pool_adjoint(plain, choice, P, window))
    assert np.isnan(best).any()


def test_inputs_may_be_read_only_and_strided_and_are_not_changed(backend):
    window = WINDOWS[1]
    Y, P = few_values(window)
    wide = np.repeat(Y, 2, axis=2)
    given = [wide[:, :, ::2], P]
    for a in given:
        a.setflags(write=False)
    found, taps = backend.max_pool(backend.asarray(given[0]), window, True)
    back = backend.max_pool_adjoint(taps, backend.asarray(given[1]), window)
    best, _, expected = by_loops(window, Y, P)
    assert np.array_equal(backend.to_numpy(found), best)
    assert np.array_equal(backend.to_numpy(back), expected)
    assert np.array_equal(given[0], Y)


def test_arrays_that_do_not_fit_are_refused(backend):
    window = WINDOWS[0]
    Y, P = map(backend.asarray, few_values(window))
    taps = backend.max_pool(Y, window, True)[1]
    wrong = [
        lambda: backend.max_pool(P, window),
        lambda: backend.max_pool_adjoint(taps, Y, window),
        lambda: backend.max_pool_adjoint(taps[:, :, :1], P, window),
    ]
    for call in wrong:
        with pytest.raises(RefmgError, match=r"^found .* of shape \(.*\); expected \(.*\)$"):
            call()
