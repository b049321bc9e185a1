"""Every check of ``refmg verify`` rejects something: a change of one thing, for which it is named."""

import re

import pytest
from verify_mutants import MUTANTS, solutions

from refmg_validation.checks import control, on_backend
from refmg_validation.checks.control_problem import ControlProblem
from refmg_validation.verify import GROUPS, SEED, run_checks

# All that is particular to an integrator is in the pairs of these two.
PAIRS = [("residual", "euler"), ("hamiltonian", "verlet")]


@pytest.fixture
def known_solutions(monkeypatch):
    """Solutions of the differential equations, which take most of the time, once and without mutants."""
    solved = solutions()
    monkeypatch.setattr(ControlProblem, "exact", lambda self: solved[self.integrator])


def names(group):
    """Return the names of the checks of a group, without what they measured, and which failed."""
    found = run_checks(group, SEED)[group]
    plain = {re.sub(r"observed order [\d.nan-]+", "observed order", f.name): f.passed for f in found}
    return set(plain), {name for name, passed in plain.items() if not passed}


@pytest.mark.parametrize("group", GROUPS)
def test_every_check_rejects_a_mutant_and_every_mutant_is_rejected(monkeypatch, request, group):
    if group == "control":
        request.getfixturevalue("known_solutions")
    monkeypatch.setattr(control, "PAIRS", PAIRS)
    monkeypatch.setattr(on_backend, "PAIRS", PAIRS)
    monkeypatch.delenv("REFMG_BACKEND", raising=False)
    expected, failed = names(group)
    assert not failed
    rejected = set()
    for mutant in MUTANTS[group]:
        with monkeypatch.context() as patch:
            mutant.install(patch)
            failed = names(group)[1]
        assert failed, mutant.name
        rejected |= failed
    assert expected - rejected == set()
    assert not names(group)[1]  # and nothing of a mutant is left behind


def test_every_group_has_mutants():
    assert set(MUTANTS) == set(GROUPS)
