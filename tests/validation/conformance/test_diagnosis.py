"""Every usual mistake is caught, and named."""

import pytest
import wrong_adapters as wrong

from refmg_validation.conformance import cases
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
