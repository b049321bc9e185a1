"""Steps of gradient descent with momentum against the formula, on every backend."""

import numpy as np
import pytest

from refmg_backends import RefmgError

SHAPES = [(3, 2, 3, 3), (5,), (1,), (7, 11)]
RATE, MOMENTUM, DECAY = 0.5, 0.25, 0.125  # products with integers are exact


@pytest.fixture(params=["few numbers", "many numbers"], autouse=True)
def compiled(request, monkeypatch):
    """The compiled loop for few numbers too: few are quicker as one vector."""
    if request.param == "many numbers":
        numba_descent = pytest.importorskip("refmg_backends.numba_descent", reason="needs the extra 'numba'")
        monkeypatch.setattr(numba_descent, "MANY", 0)


def integers(seed, dtype="float64"):
    rng = np.random.default_rng(seed)
    return [rng.integers(-9, 10, shape).astype(dtype) for shape in SHAPES]


def flat(arrays):
    return np.concatenate([a.ravel() for a in arrays])


def step(backend, p, g, v, *numbers):
    up = backend.asarray
    moved, found = backend.momentum_step(
        [up(a) for a in p], [up(a) for a in g], None if v is None else up(v), *numbers
    )
    return [backend.to_numpy(a) for a in moved], backend.to_numpy(found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("decay", [DECAY, 0.0])
@pytest.mark.parametrize("begun", [False, True])
def test_a_step_is_that_of_the_formula(backend, dtype, decay, begun):
    p, g = integers(0, dtype), integers(1, dtype)
    v = flat(integers(2, dtype)) if begun else None
    velocity = flat(g) + decay * flat(p) + (MOMENTUM * v if begun else 0)
    moved, found = step(backend, p, g, v, RATE, MOMENTUM, decay)
    assert [a.shape for a in moved] == SHAPES
    assert {a.dtype for a in (*moved, found)} == {np.dtype(dtype)}
    assert np.array_equal(found, velocity)
    assert np.array_equal(flat(moved), flat(p) - RATE * velocity)
    # Nesterov's step, and a rate inside the average, are others.
    assert not np.array_equal(flat(moved), flat(p) - RATE * (flat(g) + MOMENTUM * velocity))
    assert not np.array_equal(found, RATE * velocity)


def test_inputs_are_not_changed_and_may_be_read_only(backend):
    given = [integers(k) for k in range(2)]
    for a in (*given[0], *given[1]):
        a.setflags(write=False)
    moved, found = step(backend, *given, None, RATE, MOMENTUM, DECAY)
    again, _ = step(backend, moved, given[1], found, RATE, MOMENTUM, DECAY)
    assert np.array_equal(flat(moved), flat(integers(0)) - RATE * found)
    assert not np.array_equal(flat(again), flat(moved))


def test_arrays_that_do_not_fit_are_refused(backend):
    p, g = integers(0), integers(1)
    wrong = {
        "gradient": (p, [g[0], g[2], g[1], g[3]], None),
        "velocity": (p, g, np.ones(7)),
    }
    for what, arrays in wrong.items():
        with pytest.raises(RefmgError, match=rf"^found .*{what}.* of shape \(.*\); expected \(.*\)$"):
            step(backend, *arrays, RATE, MOMENTUM, DECAY)
    with pytest.raises(ValueError, match="zip"):
        step(backend, p, g[:2], None, RATE, MOMENTUM, DECAY)
