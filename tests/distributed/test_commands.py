"""Commands that ranks do not share, and those that tell of them: one output, one status."""

import pytest
import tiny_ranks
from mpi_runs import ended, start

SCRIPT = tiny_ranks.__file__
WRONG = "def convolve(features, stencil, boundary, stride):\n    return features\n"


def outcome(*command, ranks=2):
    status, printed, error, _ = ended(start(ranks, SCRIPT, *command))
    return status, printed, [line for line in error.split("\n")[:-1]]


def test_checks_are_printed_once():
    status, printed, error = outcome("verify", "--only", "taps", "--exact")
    assert (status, error) == (0, [])
    assert printed.count("checks passed") == 1
    assert printed == outcome("verify", "--only", "taps", "--exact", ranks=1)[1]


def test_a_wrong_implementation_is_told_once_with_the_status_of_one_process(tmp_path):
    (tmp_path / "mine.py").write_text(WRONG)
    command = ("conformance", "run", tmp_path / "mine.py", "--level", "core", "--json", tmp_path / "out.json")
    two, one = outcome(*command), outcome(*command, ranks=1)
    assert two == one
    assert (two[0], two[2]) == (1, [])
    assert two[1].count("wrong: convolve-1d-periodic") == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("verify", "--only", "nonsense"), "refmg: unknown group of checks 'nonsense'"),
        (("nonsense",), "refmg: No such command 'nonsense'"),
    ],
    ids=str,
)
def test_bad_input_is_one_line(command, said):
    status, printed, error = outcome(*command)
    assert (status, printed, len(error)) == (2, "", 1)
    assert error[0].startswith(said)


def test_information_names_the_ranks():
    status, printed, error = outcome("info")
    assert (status, error) == (0, [])
    (line,) = (line for line in printed.splitlines() if line.startswith("ranks"))
    assert line.split(maxsplit=1)[1].startswith("2, sums travel by ")


@pytest.mark.slow
def test_a_bench_is_printed_once():
    status, printed, error = outcome("bench", "--quick")
    assert (status, error) == (0, [])
    assert printed.count("float32 8 channels, 14^2: convolve") == 1
