"""Cases with known answers, for implementations of the method in any language."""

from refmg_validation.conformance.adapter import Adapter as Adapter
from refmg_validation.conformance.adapter import load_adapter as load_adapter
from refmg_validation.conformance.case import Case as Case
from refmg_validation.conformance.catalogue import cases as cases
from refmg_validation.conformance.diagnosis import diagnose as diagnose
from refmg_validation.conformance.functions import FUNCTIONS as FUNCTIONS
from refmg_validation.conformance.grading import Grade as Grade
from refmg_validation.conformance.grading import grade as grade
from refmg_validation.conformance.grading import named_outputs as named_outputs
from refmg_validation.conformance.runner import Outcome as Outcome
from refmg_validation.conformance.runner import run_cases as run_cases
from refmg_validation.conformance.xfails import read_xfails as read_xfails

__all__ = [
    "Adapter",
    "Case",
    "FUNCTIONS",
    "Grade",
    "Outcome",
    "cases",
    "diagnose",
    "grade",
    "load_adapter",
    "named_outputs",
    "read_xfails",
    "run_cases",
]
