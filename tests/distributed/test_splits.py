"""ImageNet-10 under a real ``mpiexec``: splits are divided among ranks, and interrupted runs go on."""

import json
import shutil

import pytest
import tiny_imagenet
from imagenet_records import notes_and_arrays, numbers
from mpi_runs import ended, finish, start
from photographs import write_stripes

SCRIPT = tiny_imagenet.__file__
TWO = ("--splits", "2")
STOPPED = "stopped, as --time-limit asked; the same command goes on from here"


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    return write_stripes(tmp_path_factory.mktemp("pictures"), classes=3, each=30)


def command(stripes, output, *more):
    return ("reproduce", "imagenet10", "--preset", "micro", "--data", stripes, "--output", output, *more)


def begun_epochs(folder):
    """Return how many epochs of the first stage of a split are saved."""
    (state,) = folder.glob("*.state")
    return sum(record["kind"] == "epoch" for record in notes_and_arrays(state)[0]["records"])


@pytest.fixture(scope="module")
def alone(stripes, tmp_path_factory):
    """The output of one process."""
    output = tmp_path_factory.mktemp("runs") / "alone"
    finish(1, SCRIPT, *command(stripes, output, *TWO))
    return output


def test_each_split_is_trained_by_one_rank_to_the_bits_of_one_process(alone, stripes, tmp_path):
    printed = finish(2, SCRIPT, *command(stripes, tmp_path / "out", *TWO))
    assert numbers(tmp_path / "out") == numbers(alone)
    assert printed.count("decoding 90 pictures") == 1
    assert printed.count("run.json and report.html are in") == 1
    # Whoever trains the other split does not print.
    assert "seed 1: from random, 16" in printed
    assert "seed 2: from random, 16" not in printed
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert "incomplete" not in record
    assert (record["seeds"], record["ranks"]) == ([1, 2], 2)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in alone.iterdir()}


def test_pieces_by_any_number_of_ranks_give_the_same_bits(alone, stripes, tmp_path):
    given = command(stripes, tmp_path / "out", *TWO)
    for ranks in (2, 1):
        assert STOPPED in finish(ranks, SCRIPT, *given, "--time-limit", "0")
    # One process does not begin the second split when its time is up: two ranks did.
    epochs = [begun_epochs(tmp_path / "out" / seed) for seed in ("seed-1", "seed-2")]
    assert epochs == [2, 1]
    # Three ranks are groups of two and one.
    assert STOPPED not in finish(3, SCRIPT, *given)
    assert numbers(tmp_path / "out") == numbers(alone)
    # What is finished is not done again.
    files = sorted((tmp_path / "out").glob("seed-*/*.safetensors"))
    begin = [file.stat().st_mtime_ns for file in files]
    finish(2, SCRIPT, *given)
    assert [file.stat().st_mtime_ns for file in files] == begin


def test_what_one_rank_finds_damaged_is_one_line_of_all(alone, stripes, tmp_path):
    shutil.copytree(alone, tmp_path / "out")
    damaged = next((tmp_path / "out" / "seed-2").glob("*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:-8] + bytes(8))
    status, printed, error, _ = ended(start(2, SCRIPT, *command(stripes, tmp_path / "out", *TWO)))
    assert status == 2
    (line,) = filter(None, error.splitlines())
    assert line.startswith("refmg: ")
    assert "delete it to go on" in line
    assert "report.html" not in printed
