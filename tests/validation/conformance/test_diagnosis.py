"""Every usual mistake is caught, and named."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import wrong_adapters as wrong

from refmg_validation.conformance import Case, cases, diagnose
from refmg_validation.conformance.adapter import Adapter
from refmg_validation.conformance.diagnosis import NONE
from refmg_validation.conformance.runner import run_cases

CASES = {case.name: case for case in cases()}
# The mistake, a case that shows it, what it is called.
NAMED = [
    (wrong.Flipped, "convolve-2d-zero", "flipped stencil"),
    (wrong.Flipped, "convolve-2d-stride-2-reflect", "flipped stencil"),
    (wrong.Flipped, "convolve-2d-rounded", "flipped stencil"),
    (wrong.Flipped, "state-euler", "flipped stencil"),
    (wrong.Flipped, "adjoint-euler", "flipped stencil"),
    (wrong.ChannelsTransposed, "convolve-3d-periodic", "transposed channels"),
    (wrong.ChannelsTransposed, "gradient-2d-zero", "transposed channels"),
    (wrong.AlwaysPeriodic, "convolve-2d-zero", "wrong boundary: as with the boundary 'periodic'"),
    (wrong.AlwaysPeriodic, "convolve-2d-stride-2-reflect", "wrong boundary: as with the boundary 'periodic'"),
    (wrong.AlwaysPeriodic, "layer-residual-adjoint", "wrong boundary: as with the boundary 'zero'"),
    (wrong.TorchReflect, "convolve-2d-reflect", "wrong boundary: as with a mirror"),
    (wrong.TorchReflect, "convolve-2d-stride-2-reflect", "wrong boundary: as with a mirror"),
    (wrong.StrideFromOne, "convolve-2d-stride-2-periodic", "wrong cells of the stride"),
    (wrong.AxesSwapped, "convolve-2d-zero", "swapped axes"),
    (wrong.AxesSwapped, "restrict-2d-linear", "swapped axes"),
    (wrong.ForwardAsTranspose, "transpose-3d", "not the adjoint"),
    (wrong.ForwardAsTranspose, "layer-residual-adjoint", "not the adjoint: the tangent"),
    (wrong.FlippedAsTranspose, "transpose-2d-reflect", "not the adjoint"),
    (wrong.RestrictionAsTranspose, "restrict-2d-average", "R and P^T confused"),
    (wrong.RestrictionAsTranspose, "prolong-2d-average", "R and P^T confused"),
    (wrong.RestrictionAsTranspose, "prolong-2d-linear", "R and P^T confused"),
    (wrong.RestrictionAsTranspose, "stencil-restrict-2d-linear", "R and P^T confused"),
    (wrong.WithoutVolume, "loss-softmax", "missing h^d"),
    (wrong.WithoutVolume, "gradient-softmax-euler", "missing h^d"),
    (wrong.WithoutVolumeAndSummed, "loss-softmax", "logits alone: missing h^d"),
    (wrong.VolumeTwice, "loss-softmax", "double h^d"),
    (wrong.WithoutSpacing, "regularizer-weights-2d", "missing h"),
    (wrong.RightEndPoints, "state-euler", "wrong time node"),
    (wrong.RightEndPoints, "tangent-euler", "wrong time node"),
    (wrong.CentredNodes, "time-linear", "wrong time node: as with nodes in the middle"),
    (wrong.UnitStep, "state-euler", "wrong time step: dt = 1"),
    (wrong.Minus, "layer-symmetric", "missing minus"),
    (wrong.Minus, "adjoint-euler", "missing minus"),
    (wrong.ExamplesFirst, "convolve-2d-zero", "examples first"),
    (wrong.ExamplesFirst, "loss-softmax", "examples first"),
    (wrong.ChannelsLast, "convolve-2d-zero", "channels last"),
    (wrong.Summed, "loss-softmax", "sum, not mean"),
    (wrong.Summed, "gradient-softmax-euler", "mean taken twice"),
    (wrong.WithoutHalf, "regularizer-controls", "factor 1/2"),
    (wrong.ColumnMajor, "convolve-2d-zero", "column-major order"),
    (wrong.Flattened, "convolve-2d-zero", "another shape"),
    (wrong.SinglePrecision, "layer-residual", "float32 precision"),
    (wrong.NotFinite, "convolve-2d-zero", "NaN"),
    (wrong.AnotherPair, "stencil-restrict-2d-linear", "wrong transfer: as with transfer = 'average'"),
    (wrong.RoundedLast, "convolve-2d-zero", "rounding: right up to rounding; this case is of whole numbers"),
    (wrong.RoundedLast, "restrict-2d-linear", "rounding: right up to rounding"),
    (wrong.RoundedLast, "time-linear", "rounding: right up to rounding"),
    (wrong.RoughWeights, "regularizer-weights-2d", "missing h^d: h^d is left out: the regulariser"),
    (wrong.RoughWeights, "regularizer-weights-1d", "missing h^d: h^d is left out: the regulariser"),
    (wrong.Doubled, "convolve-2d-zero", "factor 2: 2 times what is expected"),
    (wrong.Doubled, "state-euler", "factor 2: 0.5 times what is expected"),
    (wrong.Zeros, "loss-softmax-hessian", "all zeros"),
    (
        wrong.LaterMoments,
        "state-euler-few-controls",
        "wrong time node: each step takes its parameters at its end",
    ),
    (
        wrong.MiddleMoments,
        "state-euler-few-controls",
        "wrong time node: each step takes its parameters in its mid",
    ),
    (wrong.Unmoved, "stencil-prolong-2d-linear", "unchanged stencil"),
    (wrong.Unmoved, "switch-2d", "unchanged stencil"),
    (
        wrong.OtherWay,
        "stencil-prolong-2d-linear",
        "wrong direction: stencils were moved the other way: prolong",
    ),
    (wrong.OtherWay, "power-law-restrict-2d-2", "wrong direction"),
    (wrong.OtherWay, "switch-2d", "wrong direction"),
    (wrong.DividedWeights, "switch-2d", "divided weights: W is divided by 4"),
    (wrong.WithoutBias, "layer-residual", "missing bias"),
    (wrong.WithoutBias, "layer-symmetric-tangent", "missing bias: the derivative by the bias"),
    (wrong.WithoutBias, "state-euler", "missing bias"),
    (wrong.WithoutBias, "loss-softmax", "missing bias: h^d W^T y where"),
    (wrong.HalvesSwapped, "layer-hamiltonian", "swapped halves"),
    (wrong.HalvesSwapped, "state-verlet", "swapped halves"),
    (wrong.MirroredLayers, "layer-residual-reflect", "wrong boundary: as with a mirror"),
    (wrong.OtherInterpolation, "time-linear", "wrong interpolation: as with the interpolation 'constant'"),
    (wrong.OtherIntegrator, "state-rk4", "wrong integrator: as with integrator = 'euler'"),
    (wrong.OtherActivation, "layer-residual", "wrong activation: as with activation = 'relu'"),
    (wrong.OtherLayer, "layer-symmetric", "wrong layer: as with layer = 'residual'"),
    (wrong.OtherLoss, "loss-softmax", "wrong loss: as with loss = 'logistic'"),
    (wrong.OtherLayout, "convolve-3d-zero", "another layout: the axes of features"),
    (wrong.Noise, "convolve-2d-zero", NONE),
]


@pytest.mark.parametrize(
    ("mistake", "case", "name"), NAMED, ids=lambda v: getattr(v, "__name__", str(v)[:28])
)
def test_a_mistake_is_caught_and_named(mistake, case, name):
    (outcome,) = run_cases(Adapter("wrong", mistake()), [CASES[case]])
    assert outcome.verdict == "wrong"
    assert outcome.cause.startswith(name)


def test_a_mistake_is_named_in_float32_too():
    (outcome,) = run_cases(Adapter("wrong", wrong.Flipped()), [CASES["state-euler"]], "float32")
    assert outcome.cause.startswith("flipped stencil")


def test_all_that_give_the_same_numbers_are_named():
    """On one channel and one axis, exchanged channels change nothing, and a flip is what K for K^T is."""
    (outcome,) = run_cases(Adapter("wrong", wrong.FlippedAsTranspose()), [CASES["transpose-2d-zero"]])
    assert outcome.verdict == "passed"
    backward = Adapter("wrong", wrong.ForwardAsTranspose())
    (outcome,) = run_cases(backward, [CASES["transpose-1d"]])
    assert "flipped stencil" in outcome.cause
    assert "; or not the adjoint" in outcome.cause


def test_each_case_of_a_wrong_function_is_named():
    """The mistake is named in every case that shows it, not only in one."""
    convolutions = [case for case in CASES.values() if case.function == "convolve"]
    outcomes = [o for o in run_cases(Adapter("wrong", wrong.Flipped()), convolutions) if o.failed]
    assert len(outcomes) >= len(convolutions) - 1  # width 1 has no flip
    assert all(o.cause.startswith("flipped stencil") for o in outcomes)


def test_all_exact_cases_that_are_right_up_to_rounding_are_said_to_be():
    class Off(wrong.OnReference):
        def function(self, name):
            def off(**inputs):
                found = getattr(self, name)(**inputs)
                if isinstance(found, tuple):
                    return tuple(np.nextafter(part, np.inf) for part in found)
                return np.nextafter(found, np.inf)

            return off

    exact = [case for case in CASES.values() if case.exact]
    assert len(exact) > 60
    off = Off()
    adapter = Adapter(
        "off", SimpleNamespace(**{case.function: off.function(case.function) for case in exact})
    )
    for outcome in run_cases(adapter, exact):
        assert outcome.cause.startswith("rounding: right up to rounding"), outcome.case.name


def test_numbers_that_look_equal_are_told_with_all_digits():
    (outcome,) = run_cases(Adapter("wrong", wrong.RoundedLast()), [CASES["convolve-1d-zero"]])
    assert re.search(r"found -?\d+\.\d{10,}", outcome.message)


def test_every_cause_that_gives_the_same_numbers_is_named():
    """On one cell, one channel and one example nearly all is the same; none is kept back."""
    y, s = np.array([[[2.0], [3.0]]]), np.array([[[1.0, 0.0, 0.0]]])
    given = {"features": y, "stencil": s, "shape": np.array([2]), "boundary": "zero", "stride": 1}
    right = {"features": np.array([[[3.0], [0.0]]])}
    case = Case("tiny", "g", "core", "", "convolve_transpose", given, right, {"float64": 0.0}, "", True)
    told = diagnose(case, {"features": np.array([[[0.0], [2.0]]])})
    names = [part.partition(":")[0] for part in told.split("; or ")]
    assert names == ["flipped stencil", "not the adjoint"]
    flat = {"features": np.array([[[2.0], [3.0]]])}
    assert diagnose(case, flat) == NONE


def test_no_mistake_is_named_for_what_it_does_not_change():
    """Each attempt that gives the expected outputs is dropped: it would explain any rounding."""
    case = CASES["convolve-2d-width-1"]  # no flip and no boundary changes a single tap
    for factor in (1 + 1e-13, 1 + 1e-9):
        told = diagnose(case, {"features": factor * case.expected["features"]})
        assert not told.startswith(("flipped", "wrong boundary", "swapped"))
