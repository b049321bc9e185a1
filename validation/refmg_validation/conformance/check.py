"""Grading the files that an implementation in any language wrote for exported cases."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from refmg_backends import RefmgError, one_of
from refmg_validation.conformance.case import DTYPES, Case
from refmg_validation.conformance.export import OUTPUTS
from refmg_validation.conformance.grading import MISSING, WRONG
from refmg_validation.conformance.manifest import file_of
from refmg_validation.conformance.reading import read_cases
from refmg_validation.conformance.runner import Outcome, graded
from refmg_validation.conformance.vectors import read_npy


def check(folder: Path, dtype: str = "float64") -> list[Outcome]:
    """Grade ``outputs/<case>/<name>.npy`` in the folder of an export, by the files of the export alone.

    Parameters
    ----------
    folder : path
        Made by :func:`.export.export`.
    dtype : {"float64", "float32"}
        In which was computed; says which tolerance holds.

    Returns
    -------
    list of Outcome
        One a case, in the order of the manifest. A case without any output is not implemented.

    Raises
    ------
    RefmgError
        If the export is damaged or incomplete, there are no outputs at all, or some belong to no case.
    """
    if dtype not in DTYPES:
        raise RefmgError(one_of("dtype", dtype, DTYPES))
    cases = read_cases(folder)
    _check_outputs(folder, cases)
    return [_graded(folder, case, dtype) for case in cases]


def _check_outputs(folder: Path, cases: Sequence[Case]) -> None:
    outputs, known = folder / OUTPUTS, [case.name for case in cases]
    there = sorted(path.parent.name for path in outputs.glob("*/*.npy"))
    if not there:
        example = file_of(OUTPUTS, known[0] if known else "case", "features")
        raise RefmgError(f"found no outputs in {outputs}; expected files such as {folder / example}")
    strange = [name for name in there if name not in known]
    if strange:
        close = get_close_matches(strange[0], known, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise RefmgError(f"found outputs in {outputs / strange[0]}, which is no case of this export{hint}")


def _graded(folder: Path, case: Case, dtype: str) -> Outcome:
    outputs = {}
    for path in sorted((folder / OUTPUTS / case.name).glob("*.npy")):
        try:
            outputs[path.stem] = read_npy(path.read_bytes())
        except RefmgError as error:
            return Outcome(case, WRONG, f"{path.name} is {error}", "", float("inf"))
    return graded(case, outputs, dtype) if outputs else Outcome(case, MISSING)
