"""``refmg verify``: all checks pass, and a check that fails is named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from verify_mutants import solutions

from refmg import get_backend
from refmg.dynamics.residual import LinearizedResidual
from refmg.integrators import LeapfrogStep, RungeKuttaStep
from refmg.losses import SoftmaxCrossEntropy
from refmg_validation import cli
from refmg_validation.checks import control, exact, images, kernels, training
from refmg_validation.checks.control_problem import PAIRS, ControlProblem
from refmg_validation.checks.finding import Finding
from refmg_validation.verify import EXACT, GROUPS


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
    found = json.loads((tmp_path / "found.json").read_text())["checks"]
    assert {f["group"] for f in found} == set(GROUPS)
    names = [f["name"] for f in found]
    assert len(set(names)) == len(names) >= 150
    for layer, integrator in PAIRS:
        assert f"{layer}, {integrator}: Gauss-Newton product" in names
    assert all(f["passed"] and f["measured"] <= f["bound"] for f in found)


def only_pair(monkeypatch, layer, integrator):
    """Check this layer with this integrator alone, against solutions that nothing wrong had part in."""
    assert (layer, integrator) in PAIRS
    monkeypatch.setattr(control, "PAIRS", [(layer, integrator)])
    right = solutions()
    monkeypatch.setattr(ControlProblem, "exact", lambda self: right[self.integrator])


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

    only_pair(monkeypatch, *named.split(":")[0].split(", "))
    monkeypatch.setattr(target, attribute, wrong)
    status, out, err = verify("--only", "control")
    assert status == 1
    assert f"check failed: {named}\n" in err
    assert "FAILED" in out


def test_a_broken_loss_is_named(verify, monkeypatch):
    only_pair(monkeypatch, "residual", "euler")
    right = SoftmaxCrossEntropy.value
    monkeypatch.setattr(SoftmaxCrossEntropy, "value", lambda *a: 1.01 * right(*a))
    status, _, err = verify("--only", "control")
    assert status == 1
    assert "check failed: loss softmax: Taylor orders 1, 2, 3" in err


def test_a_check_that_raises_is_a_check_that_failed(verify, monkeypatch):
    def broken(*arguments):
        raise ValueError("no adjoint today")

    only_pair(monkeypatch, "residual", "rk4")
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


def test_exact_runs_what_only_0_passes(verify, tmp_path):
    status, _, _ = verify("--exact", "--json", str(tmp_path / "found.json"))
    assert status == 0
    found = json.loads((tmp_path / "found.json").read_text())["checks"]
    assert {f["group"] for f in found} == set(EXACT)
    assert all(f["bound"] == 0 for f in found)


def test_exact_refuses_a_group_that_is_not(verify):
    status, _, err = verify("--exact", "--only", "transfers")
    assert status == 2
    assert "found --exact with --only transfers" in err


def test_a_check_that_raises_is_json(verify, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "change_depth", None)
    status, _, _ = verify("--only", "training", "--json", str(tmp_path / "found.json"))
    assert status == 1

    def refuse(text):
        raise AssertionError(f"{text} is not JSON")

    found = json.loads((tmp_path / "found.json").read_text(), parse_constant=refuse)["checks"]
    assert [f["measured"] for f in found if not f["passed"]] == [None]


def test_a_seed_draws_other_cases_and_is_told(verify, tmp_path):
    measured = []
    for seed in ("5", "5", "random"):
        status, out, _ = verify("--only", "operators", "--seed", seed, "--json", str(tmp_path / "found.json"))
        assert status == 0
        record = json.loads((tmp_path / "found.json").read_text())
        assert f"seed {record['seed']}" in out
        measured.append([f["measured"] for f in record["checks"]])
    assert measured[0] == measured[1] != measured[2]
    status, _, err = verify("--seed", "-3")
    assert status == 2
    assert "expected a whole number" in err


@pytest.mark.parametrize("operation", ["apply", "apply_transpose", "stencil_gradient"])
def test_a_wrong_kernel_is_named(verify, monkeypatch, operation):
    right = getattr(kernels.Convolution, operation)
    monkeypatch.setattr(kernels.Convolution, operation, lambda self, *given: right(self, *given) + 1e-9)
    status, _, err = verify("--exact", "--only", "kernels")
    assert status == 1
    names = {"apply": "K y", "apply_transpose": "K^T z", "stencil_gradient": "stencil gradient"}
    assert f"{get_backend().name}: 2-D, reflect, stride 2: {names[operation]}\n" in err
    assert err.count("check failed") == 18


right_depth, right_load = training.change_depth, training.load_network
right_derivatives = exact.derivatives


def off(network, layers):
    deep = right_depth(network, layers)
    return replace(deep, controls=deep.controls.map(lambda a: a * (1 + 1e-15)))


def doubled(name, width):
    return [replace(d, eigenvalue=2 * d.eigenvalue) for d in right_derivatives(name, width)]


@pytest.mark.parametrize(
    ("target", "wrong", "named"),
    [
        ("change_depth", off, "twice as deep: old controls at the old times"),
        ("load_network", lambda *given: (right_load(*given)[0].with_classifier(None), {}),
         "training: the next check raised AttributeError"),
    ],
)  # fmt: skip
def test_a_wrong_move_is_named(verify, monkeypatch, target, wrong, named):
    monkeypatch.setattr(training, target, wrong)
    status, _, err = verify("--only", "training")
    assert status == 1
    assert f"check failed: {named}" in err


def test_a_step_that_rises_and_a_resumed_run_that_differs_are_named(verify, monkeypatch):
    right = training.block_coordinate_descent

    def worse(network, x, labels, settings, done=-1):
        for step in right(network, x, labels, settings, done):
            rising = replace(step.evaluation, loss=step.evaluation.loss + step.number)
            yield replace(step, evaluation=rising, network=step.network if done < 0 else network)

    monkeypatch.setattr(training, "block_coordinate_descent", worse)
    status, _, err = verify("--only", "training")
    assert status == 1
    assert "check failed: block coordinate descent: the largest rise" in err
    assert "check failed: block coordinate descent, gone on after an interruption" in err


def test_a_wrong_adjoint_of_the_move_is_named(verify, monkeypatch):
    right = training.ParameterMove.adjoint
    monkeypatch.setattr(training.ParameterMove, "adjoint", lambda self, v: right(self, v) * (1 + 1e-9))
    status, _, err = verify("--only", "training")
    assert status == 1
    assert "check failed: power-law: parameters on the coarse grid, and the adjoint" in err


@pytest.mark.parametrize(
    ("attribute", "value", "named"),
    [
        ("inverse", lambda T: T, "linear, factor 2: up after down is the identity"),
        ("time_matrix", lambda old, new, kind: exact.identity(max(old, new))[:new, :old],
         "cubic in time, 4 to 8 layers: exact for degree 3"),
        ("derivatives", doubled, "average, 5 taps: derivative of order 1 is an eigenvector to 1"),
    ],
)  # fmt: skip
def test_a_wrong_rational_map_is_named(verify, monkeypatch, attribute, value, named):
    monkeypatch.setattr(exact, attribute, value)
    status, _, err = verify("--only", "exact")
    assert status == 1
    assert f"check failed: {named}" in err
