"""Grades: right, wrong in every way, and the messages."""

from types import SimpleNamespace

import numpy as np
import pytest

from refmg_validation.conformance import Adapter, Case, Grade, Outcome, grade, named_outputs, run_cases

CASE = Case(
    name="a",
    group="g",
    level="core",
    paragraph="",
    function="f",
    inputs={},
    expected={"y": np.array([1.0, -4.0]), "z": np.array(0.5)},
    tolerance={"float64": 1e-15, "float32": 1e-6},
    reason="",
)
RIGHT = dict(CASE.expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.array([1.0, -4.1])}, "y: found -4.1 at (1,), expected -4; largest error 0.1"),
        ({"y": np.array([[1.0, -4.0]])}, "y: found shape (1, 2); expected (2,)"),
        ({"y": np.array([np.nan, -4.0])}, "y: found nan at (0,), expected 1; largest error inf"),
        ({"y": np.array([1.0, np.inf])}, "y: found inf at (1,)"),
        ({"y": np.array(["a", "b"])}, "y: found <U1; expected numbers"),
        ({"y": np.array([1.0 + 0j, -4.0])}, "y: found complex128; expected numbers"),
        ({"y": [[1.0], [1.0, 2.0]]}, "y: not an array"),
        ({"z": np.array(0.6)}, "z: found 0.6, expected 0.5"),
        ({"w": np.zeros(1)}, "found an output w; expected y (2,), z ()"),
    ],
)
def test_what_is_wrong_is_said(change, message):
    found = grade(CASE, RIGHT | change)
    assert found.verdict == "wrong"
    assert message in found.message


def test_what_is_right_passes_within_the_tolerance_of_the_type():
    close = RIGHT | {"y": np.array([1.0, -4.0 + 1e-8])}
    assert grade(CASE, RIGHT).passed
    assert not grade(CASE, close).passed
    assert grade(CASE, close, "float32").passed


def test_a_missing_output_is_wrong_and_named():
    assert grade(CASE, {"y": RIGHT["y"]}).message == "found no output z; expected y (2,), z ()"


def test_outputs_may_be_a_dict_a_tuple_or_one_array():
    assert named_outputs(CASE, (1, 2)) == {"y": 1, "z": 2}
    assert named_outputs(CASE, {"z": 2}) == {"z": 2}
    assert named_outputs(CASE, 1) == {"y": 1}
    assert named_outputs(CASE, (1, 2, 3)) == {"y": 1, "z": 2, "output 2": 3}
    assert grade(CASE, named_outputs(CASE, (*RIGHT.values(), 3.0))).message.startswith("found an output")


def test_grades_and_outcomes_know_whether_they_failed():
    found = grade(CASE, RIGHT)
    assert isinstance(found, Grade)
    assert (found.case, found.verdict, found.passed) == ("a", "passed", True)
    assert not Grade("a", "wrong").passed
    assert [Outcome(CASE, verdict).failed for verdict in ("passed", "wrong", "not implemented")] == [
        False,
        True,
        False,
    ]
    assert Outcome(CASE, "unexpectedly passing").failed
    (outcome,) = run_cases(
        Adapter("mine", SimpleNamespace(convolve=lambda: None, f=lambda: (1.0, 2.0))), [CASE]
    )
    assert isinstance(outcome, Outcome)
    assert outcome.verdict == "wrong"
