"""The usual mistakes, as what they would have given."""

from refmg_validation.conformance.mistakes.problem import Attempt as Attempt
from refmg_validation.conformance.mistakes.problem import Problem as Problem
