"""The cases themselves: names, numbers, what refmg makes of them, and what wrong implementations do."""

import ast
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conformance_mutants import MUTANTS

import refmg_validation.conformance as conformance
from refmg import RefmgError, Taps, TransferPair
from refmg.transfer import TRANSFERS
from refmg_validation.adapters.backends import Adapter
from refmg_validation.conformance import FUNCTIONS, cases, grade, named_outputs
from refmg_validation.conformance.catalogue import GROUPS
from refmg_validation.conformance.functions import CHOICES, NUMBERS


def of_group(group):
    return [case for case in cases() if case.group == group]


def outputs(case, adapter, dtype="float64"):
    return named_outputs(case, getattr(adapter, case.function)(**case.cast(dtype)))


def test_names_are_unique_and_groups_and_levels_are_full():
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names) >= 60
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)
    assert {case.group for case in cases("core")} == set(GROUPS)
    assert {case.function for case in cases()} == set(FUNCTIONS)
    assert [case.name for case in cases("core")] == [c.name for c in cases() if c.level == "core"]


def test_an_unknown_level_is_refused():
    with pytest.raises(RefmgError, match="did you mean 'full'"):
        cases("ful")


# Groups that are made in a moment; the others draw their numbers by the same class.
@pytest.mark.parametrize("group", ["convolution", "transfer", "image-maps", "layers", "classifier", "levels"])
def test_cases_are_the_same_every_time(group):
    for one, other in zip(GROUPS[group](), of_group(group), strict=True):
        assert one.name == other.name
        for a, b in ((one.inputs, other.inputs), (one.expected, other.expected)):
            assert list(a) == list(b)
            assert all(np.array_equal(a[name], b[name]) for name in a)


def test_inputs_lose_nothing_in_float32_and_exact_cases_are_whole():
    for case in cases():
        arrays = [v for v in case.inputs.values() if isinstance(v, np.ndarray)]
        for array in arrays:
            assert array.dtype in (np.float64, np.int64)
            assert np.array_equal(array.astype(np.float32), array), case.name
        assert all(isinstance(v, np.ndarray) and v.dtype == np.float64 for v in case.expected.values())
        assert all(np.isfinite(v).all() for v in case.expected.values())
        assert case.exact == (max(case.tolerance.values()) == 0)
        if case.exact:
            assert all(np.array_equal(v, np.rint(v)) for v in case.expected.values())


def test_tolerances_leave_digits_to_compare():
    for case in cases():
        assert case.tolerance["float64"] < 1e-11, case.name
        assert case.tolerance["float32"] < 3e-3, case.name


def test_arguments_and_outputs_are_those_of_the_function():
    for case in cases():
        about = FUNCTIONS[case.function]
        assert tuple(case.inputs) == about.arguments
        assert tuple(case.expected) == about.returns
        assert len(case.paragraph) > 40
        assert case.reason


def test_the_printed_choices_are_those_of_the_cases():
    given = {}
    for case in cases():
        for argument, value in case.inputs.items():
            given.setdefault(argument, []).append(value)
    names = {argument: {v for v in values if isinstance(v, str)} for argument, values in given.items()}
    named = {argument: set(value) for argument, value in CHOICES.items() if value != NUMBERS}
    assert named == {argument: values for argument, values in names.items() if values}
    mixed = {argument for argument, values in given.items() if len({np.ndim(v) > 0 for v in values}) > 1}
    assert {argument for argument, value in CHOICES.items() if value == NUMBERS} == mixed


def test_no_array_of_a_core_case_is_large():
    assert max(v.size for case in cases() for v in case.expected.values()) <= 2000


def failures(adapter, chosen, dtype="float64"):
    found = [grade(case, outputs(case, adapter, dtype), dtype) for case in chosen]
    return [g for g in found if not g.passed]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("group", GROUPS)
def test_matrices_of_the_numpy_backend_give_what_the_reference_expects(group, dtype):
    assert failures(Adapter("numpy"), of_group(group), dtype) == []


@pytest.mark.parametrize("group", GROUPS)
def test_kernels_give_what_the_reference_expects(group):
    pytest.importorskip("numba", reason="the Numba backend needs the extra 'numba'")
    chosen = [case for case in of_group(group) if case.level == "core"]
    assert failures(Adapter("numba"), chosen) == []


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kernels_give_what_the_reference_expects_of_all_cases(dtype):
    pytest.importorskip("numba", reason="the Numba backend needs the extra 'numba'")
    assert failures(Adapter("numba"), cases(), dtype) == []


@pytest.mark.parametrize("group", GROUPS)
def test_every_case_rejects_mistakes(group):
    """Of the mistakes in its function, at least one that shows in the case; each mistake in some case."""
    adapter, caught = Adapter("numpy"), {}
    for case in of_group(group):
        honest = getattr(adapter, case.function)
        verdicts = [
            grade(case, named_outputs(case, mutant(honest, case.cast("float64")))).passed
            for mutant in MUTANTS[case.function]
        ]
        assert not all(verdicts), case.name
        before = caught.get(case.function, [False] * len(verdicts))
        caught[case.function] = [b or not v for b, v in zip(before, verdicts, strict=True)]
    assert all(all(found) for found in caught.values()), caught


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_entry_of_every_output_is_compared(dtype):
    """An error of twice the bound in one entry is rejected, half the bound is not."""
    rng = np.random.default_rng(0)
    for case in cases():
        for name, value in case.expected.items():
            for factor, passes in ((2.0, False), (0.5, True)):
                wrong = dict(case.expected)
                changed = value.copy()
                place = int(rng.integers(value.size))
                # Twice a bound of 0 is still an error here, half of it none.
                change = factor * case.bound(name, dtype) if not case.exact else (factor > 1)
                changed.flat[place] += change
                wrong[name] = changed
                assert grade(case, wrong, dtype).passed == passes, (case.name, name)


def imports_of_refmg(source):
    """Return the modules of refmg's mathematics that a module imports."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [name for name in names if name.split(".")[0] == "refmg" or "adapters" in name]
    return found


def test_expected_outputs_do_not_come_from_the_code_under_test():
    folder = Path(conformance.__file__).parent
    paths = [*folder.glob("groups/*.py"), *folder.glob("reference/*.py"), folder / "build.py"]
    assert len(paths) > 20
    for path in paths:
        assert imports_of_refmg(path.read_text()) == [], path


def test_the_look_for_imports_finds_them():
    assert imports_of_refmg("def f():\n    from refmg.transfer import TRANSFERS") == ["refmg.transfer"]
    assert imports_of_refmg("import refmg") == ["refmg"]
    assert imports_of_refmg("from refmg_validation.adapters.backends import Adapter") != []


def test_r_and_p_of_another_place_are_caught(monkeypatch):
    """Shifted by one cell together, they move stencils as before: only their own taps tell."""
    quarter = Fraction(1, 4)
    half = (2 * quarter, 4 * quarter, 2 * quarter)
    shifted, right = TransferPair(2, Taps(0, (quarter, 2 * quarter, quarter)), Taps(0, half)), TRANSFERS
    other = right["full-weighting"]
    monkeypatch.setitem(right, "full-weighting", lambda f: shifted if f == 2 else other(f))
    wrong = {g.case for g in failures(Adapter("numpy"), of_group("transfer"))}
    assert {"restrict-1d-full-weighting", "prolong-1d-full-weighting", "restrict-2d-full-weighting"} <= wrong
    assert failures(Adapter("numpy"), of_group("stencil-maps")) == []
