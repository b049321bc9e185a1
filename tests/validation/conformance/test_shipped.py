"""The vectors in the package are those of the code."""

from pathlib import Path

import numpy as np

import refmg_validation.conformance as conformance
from refmg_validation.conformance import cases
from refmg_validation.conformance.manifest import content_of, read_header
from refmg_validation.conformance.reading import read_cases

SHIPPED = Path(conformance.__file__).parent / "shipped"
HOW = "export again: refmg conformance export validation/refmg_validation/conformance/shipped --level core"


def test_the_shipped_cases_are_those_of_the_core():
    shipped = read_cases(SHIPPED)
    assert [case.name for case in shipped] == [case.name for case in cases("core")], HOW
    for case, ours in zip(shipped, cases("core"), strict=True):
        assert list(case.inputs) == list(ours.inputs), HOW
        assert all(np.array_equal(case.inputs[name], value) for name, value in ours.inputs.items()), HOW
        assert all(np.array_equal(case.expected[name], value) for name, value in ours.expected.items()), HOW


def test_the_shipped_manifest_says_the_same():
    """Tolerances, bounds and sums of files among it: no machine has others."""
    manifest, ours = read_header(SHIPPED), content_of(cases("core"), "core")[0]
    assert {k: v for k, v in manifest.items() if k != "refmg"} == {
        k: v for k, v in ours.items() if k != "refmg"
    }, HOW


def test_the_shipped_folder_is_small_and_has_nothing_else():
    files = {str(path.relative_to(SHIPPED)) for path in SHIPPED.rglob("*") if path.is_file()}
    assert files == {"manifest.json", *content_of(cases("core"), "core")[1]}
    assert sum((SHIPPED / name).stat().st_size for name in files) < 300_000
