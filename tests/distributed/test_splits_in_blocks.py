"""ImageNet-10 with ``--deterministic`` under a real ``mpiexec``: the same bits for any number of ranks."""

import json

import pytest
import tiny_imagenet
from imagenet_records import numbers
from mpi_runs import ended, finish, start
from photographs import write_stripes

SCRIPT = tiny_imagenet.__file__
STOPPED = "stopped, as --time-limit asked; the same command goes on from here"


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    return write_stripes(tmp_path_factory.mktemp("pictures"), classes=3, each=30)


def command(stripes, output, *more):
    given = ("reproduce", "imagenet10", "--preset", "micro-blocks", "--data", stripes)
    return (*given, "--output", output, *more)


@pytest.fixture(scope="module")
def alone(stripes, tmp_path_factory):
    """The output of one process: one split."""
    output = tmp_path_factory.mktemp("runs") / "alone"
    finish(1, SCRIPT, *command(stripes, output, "--deterministic"))
    return output


def test_ranks_that_share_a_split_have_the_bits_of_one_process(alone, stripes, tmp_path):
    """Three blocks a batch, on two ranks; the last images for stopping and validation are one block."""
    finish(2, SCRIPT, *command(stripes, tmp_path / "out", "--deterministic"))
    assert len(numbers(alone)) == 3
    assert numbers(tmp_path / "out") == numbers(alone)
    one, many = (json.loads((output / "run.json").read_text()) for output in (alone, tmp_path / "out"))
    assert one["settings"] == many["settings"]
    assert one["settings"]["deterministic"] is True
    assert many["ranks"] == 2


def test_plain_sums_are_other_bits(alone, stripes, tmp_path):
    """Else equal bits would say nothing."""
    finish(1, SCRIPT, *command(stripes, tmp_path / "out"))
    assert numbers(tmp_path / "out").keys() == numbers(alone).keys()
    assert numbers(tmp_path / "out") != numbers(alone)
    assert "deterministic" not in json.loads((tmp_path / "out" / "run.json").read_text())["settings"]


def test_any_number_of_ranks_goes_on_in_groups_too(alone, stripes, tmp_path):
    """Three ranks begin the split; a group of two ends it, beside the third with a split of its own."""
    given = command(stripes, tmp_path / "out", "--deterministic")
    assert STOPPED in finish(3, SCRIPT, *given, "--time-limit", "0")
    finish(3, SCRIPT, *given, "--splits", "2")
    found, expected = numbers(tmp_path / "out"), numbers(alone)
    assert len(found) == 2 * len(expected)
    assert {name: found[name] for name in expected} == expected


def test_a_folder_goes_on_as_it_was_begun(alone, stripes):
    before = {path: path.stat().st_mtime_ns for path in alone.rglob("*.*")}
    status, _, error, _ = ended(start(1, SCRIPT, *command(stripes, alone)))
    assert status == 2
    (line,) = filter(None, error.splitlines())
    assert line.startswith("refmg: ")
    assert "deterministic" in line
    assert {path: path.stat().st_mtime_ns for path in before} == before
