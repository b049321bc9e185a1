"""Every map by name: what all have in common, and which name is which map."""

from __future__ import annotations

import numpy as np
import pytest

from refmg.covariance import PowerLaw, Spectrum
from refmg.joint_map import JointMap
from refmg.predictive_map import PredictiveMap
from refmg.stencil_map import ClosureError, StencilMap
from refmg.stencil_maps import LevelsMap, named_map, stencil_transfer_names
from refmg.transfer import named_pair
from refmg_backends import RefmgError

EPS = np.finfo(np.float64).eps
IMAGES = np.random.default_rng(0).random((1, 16, 12, 5))
every_name = pytest.mark.parametrize("name", stencil_transfer_names())
every_direction = pytest.mark.parametrize("direction", ["restrict", "prolong"])


def make(name, *arguments, **options):
    return named_map(name, *arguments, images=IMAGES if name == "spectrum" else None, **options)


def own_pair(factor):
    return named_pair("average", factor)


@every_name
@every_direction
@pytest.mark.parametrize("shape", [(3, 3), (2, 1, 3, 3)])
def test_every_map_keeps_layout_and_precision(name, direction, shape):
    move = getattr(make(name), direction)
    for dtype in (np.float32, np.float64):
        s = np.random.default_rng(1).standard_normal(shape).astype(dtype)
        s.setflags(write=False)
        moved = move(s)
        assert (moved.shape, moved.dtype) == (shape, dtype)
        plain = move(s.reshape(-1, 3, 3)[-1])
        # Each dot product has nine terms; the maps' matrices have norms below 32.
        assert np.abs(moved.reshape(-1, 3, 3)[-1] - plain).max() <= 9 * 32 * np.finfo(dtype).eps * 9
    with pytest.raises(RefmgError, match=r"expected \(3, 3\)"):
        move(np.ones((5, 5)))


def test_names_are_maps():
    s = np.arange(9.0).reshape(3, 3) ** 2
    pairs = {
        "linear": StencilMap(),
        "average": StencilMap(transfer="average"),
        "full-weighting": StencilMap(transfer="full-weighting"),
        "power-law": PredictiveMap(PowerLaw(2.0)),
        "power-law-joint": JointMap(PowerLaw(2.0)),
        "spectrum": PredictiveMap(Spectrum.of(IMAGES)),
    }
    for name, expected in pairs.items():
        assert np.array_equal(make(name).restrict(s), expected.restrict(s))
    assert np.array_equal(named_map("unchanged").restrict(s), s)
    assert np.array_equal(named_map(own_pair).restrict(s), pairs["average"].restrict(s))
    assert np.array_equal(named_map(PowerLaw(1.5)).prolong(s), PredictiveMap(PowerLaw(1.5)).prolong(s))
    assert set(pairs) | {"unchanged"} == set(stencil_transfer_names())


@every_name
@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize(("ndim", "width"), [(1, 3), (2, 3), (3, 3), (2, (1, 3))])
def test_every_factor_and_dimension(name, factor, ndim, width):
    if name == "spectrum":
        images = np.random.default_rng(2).random((1, *(12,) * ndim, 4))
        M = named_map(name, width, ndim, factor, images=images)
    elif width == (1, 3) and name in ("linear", "full-weighting"):
        with pytest.raises(ClosureError):
            named_map(name, width, ndim, factor)
        return
    else:
        M = named_map(name, width, ndim, factor)
    s = np.ones((3,) * ndim if width == 3 else width)
    assert np.isfinite(M.restrict(s)).all()
    assert np.isfinite(M.prolong(s)).all()


# An isotropic power law is no product of its axes: see the fourth case of the predictive maps' tests.
@pytest.mark.parametrize("name", ["average", "full-weighting", "linear", "spectrum", "unchanged"])
@every_direction
def test_an_axis_of_factor_one_keeps_what_varies_along_it_alone(name, direction):
    if name == "spectrum":
        # Second moments that are products of the axes: then the map is one too.
        axes = np.random.default_rng(3).random(12) + 0.5, np.random.default_rng(4).random(5) + 0.5
        even = [axis + np.roll(axis[::-1], 1) for axis in axes]
        M = named_map(Spectrum(np.multiply.outer(*even)), 3, 2, (2, 1))
    else:
        M = named_map(name, 3, 2, (2, 1))
    s = np.random.default_rng(5).standard_normal((3, 3))
    by_rows = {
        "spectrum": lambda: named_map(Spectrum(even[0]), 3, 1),
    }.get(name, lambda: named_map(name, 3, 1))()
    expected = np.stack([getattr(by_rows, direction)(column) for column in s.T]).T
    assert np.abs(getattr(M, direction)(s) - expected).max() <= 1e3 * EPS * np.abs(expected).max()


# --- levels ----------------------------------------------------------------------------------------


def both_ways_by_four(name):
    """The exact 1-D maps of two levels of 2, and of one level of 4."""
    twice, once = StencilMap(3, 1, name, 2).fractions, StencilMap(3, 1, name, 4).fractions
    return twice @ twice, once


@pytest.mark.parametrize("name", ["average", "full-weighting"])
def test_pairs_that_are_nested_move_alike_in_two_levels_and_at_once(name):
    twice, once = both_ways_by_four(name)
    assert np.array_equal(twice, once)


def test_linear_is_not_nested():
    twice, once = both_ways_by_four("linear")
    assert not np.array_equal(twice, once)
    # Two levels of "linear" are one of "full-weighting", whose composite with factor 2 it shares.
    assert np.array_equal(twice, both_ways_by_four("full-weighting")[1])


@every_direction
def test_levels_apply_one_map_again_and_again(direction):
    s = np.random.default_rng(6).standard_normal((3, 3))
    M, one = named_map("linear", levels=3), getattr(StencilMap(), direction)
    assert isinstance(M, LevelsMap)
    assert np.array_equal(getattr(M, direction)(s), one(one(one(s))))


def test_power_law_levels_are_another_map_than_one_large_step():
    s = np.array([1.0, -2.0, 1.0])
    twice, once = (named_map("power-law", 3, 1, f, levels=l).restrict(s) for f, l in ((2, 2), (4, 1)))
    assert np.abs(twice - once).max() > 1e-3
    # Yet both keep the sum, and the second difference stays one.
    assert np.abs(twice / twice[0] - once / once[0]).max() <= 1e3 * EPS


# --- strides ---------------------------------------------------------------------------------------


def test_a_strided_convolution_does_not_close_but_is_predicted():
    with pytest.raises(ClosureError, match=r"stride \(2, 2\) does not close.*needs width \(5, 5\)"):
        named_map("linear", stride=2)
    assert named_map("power-law", stride=2).restrict(np.ones((3, 3))).sum() == pytest.approx(9, rel=1e-12)
    fitted = named_map("linear", stride=2, closure="least-squares").restrict(np.ones((3, 3)))
    assert fitted.sum() < 9  # taps that do not fit are lost


# --- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"transfer": "powerlaw"}, "unknown transfer 'powerlaw' (did you mean 'power-law'?)"),
        ({"transfer": "spectrum"}, "'spectrum' needs images"),
        ({"transfer": "calibrated"}, "'calibrated' moves whole networks"),
        ({"transfer": Spectrum.of(IMAGES), "levels": 2}, "'spectrum' knows one pair of grids"),
        ({"levels": 0}, "found levels = 0"),
        ({"levels": 2.0}, "found levels = 2.0"),
        ({"transfer": "spectrum", "images": IMAGES, "levels": 2}, "'spectrum' knows one pair of grids"),
        ({"transfer": "spectrum", "images": IMAGES, "factor": 5}, "cells that are multiples of the factor"),
        ({"transfer": "unchanged", "width": 2}, "expected odd widths"),
        ({"transfer": "average", "closure": "exactly"}, "unknown closure 'exactly'"),
    ],
)
def test_maps_that_do_not_exist_are_refused(arguments, said):
    with pytest.raises(RefmgError) as caught:
        named_map(**arguments)
    assert said in str(caught.value)
