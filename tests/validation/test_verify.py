"""``refmg verify``: all checks pass, and a check that fails is named."""

import json

import numpy as np
import pytest

from refmg.dynamics.residual import LinearizedResidual
from refmg.integrators import LeapfrogStep, RungeKuttaStep
from refmg.losses import SoftmaxCrossEntropy
from refmg_validation import cli
from refmg_validation.checks import images
from refmg_validation.checks.control_problem import PAIRS
from refmg_validation.checks.finding import Finding


@pytest.fixture
def verify(capsys):
    def run(*arguments):
        status = cli.main(["verify", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_all_checks_pass_and_are_recorded(verify, tmp_path):
    status, out, err = verify("--json", str(tmp_path / "found.json"))
    assert (status, err) == (0, "")
    assert "FAILED" not in out
    found = json.loads((tmp_path / "found.json").read_text())["findings"]
    assert set(found) == {"operators", "transfers", "images", "control"}
    names = {f["name"] for f in found["control"]}
    for layer, integrator in PAIRS:
        assert f"{layer}, {integrator}: Gauss-Newton product" in names
    assert all(f["passed"] for group in found.values() for f in group)


@pytest.mark.parametrize(
    ("target", "attribute", "named"),
    [
        (RungeKuttaStep, "adjoint", "residual, rk4: adjoint"),
        (LeapfrogStep, "tangent", "symmetric, leapfrog: tangent"),
        (LeapfrogStep, "reverse", "residual, leapfrog: storage reversible"),
        (LinearizedResidual, "tangent", "residual, euler: complex step"),
    ],
)
def test_a_broken_operation_is_named(verify, monkeypatch, target, attribute, named):
    right = getattr(target, attribute)

    def wrong(*arguments):
        found = right(*arguments)
        return (found[0] * (1 + 1e-9), found[1]) if isinstance(found, tuple) else found * (1 + 1e-9)

    monkeypatch.setattr(target, attribute, wrong)
    status, out, err = verify("--only", "control")
    assert status == 1
    assert f"check failed: {named}\n" in err
    assert "FAILED" in out


def test_a_broken_loss_is_named(verify, monkeypatch):
    right = SoftmaxCrossEntropy.value
    monkeypatch.setattr(SoftmaxCrossEntropy, "value", lambda *a: 1.01 * right(*a))
    status, _, err = verify("--only", "control")
    assert status == 1
    assert "check failed: loss softmax: Taylor orders 1, 2, 3" in err


def test_a_check_that_raises_is_a_check_that_failed(verify, monkeypatch):
    def broken(*arguments):
        raise ValueError("no adjoint today")

    monkeypatch.setattr(RungeKuttaStep, "adjoint", broken)
    status, _, err = verify("--only", "control")
    assert status == 1
    assert "the next check raised ValueError: no adjoint today" in err


def test_a_map_of_other_images_is_named(verify, monkeypatch):
    right = images.PredictiveMap.prolongation.func
    wrong = property(lambda M: right(M) * (1 + 1e-9))
    monkeypatch.setattr(images.PredictiveMap, "prolongation", wrong)
    status, _, err = verify("--only", "images")
    assert status == 1
    assert "check failed: power-law: both maps are least squares over explicit images" in err


def test_an_unknown_group_is_refused(verify):
    status, _, err = verify("--only", "contol")
    assert status == 2
    assert "unknown group of checks 'contol'" in err


def test_a_finding_that_is_not_a_number_fails():
    assert not Finding("nan", float("nan"), 1.0).passed
    assert Finding("equal", np.float64(1.0), 1.0).passed
