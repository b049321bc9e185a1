"""ImageNet-10 under a real ``mpiexec``: splits are divided among ranks, a split's batches are shared."""

import json
import os
import shutil
import signal
from functools import cache
from pathlib import Path

import numpy as np
import own_process
import pytest
import tiny_imagenet
from imagenet_records import notes_and_arrays, numbers, without_times
from mpi_runs import ended, finish, start
from photographs import write_stripes
from safetensors.numpy import load_file

from refmg.atomic import PART
from refmg_validation.imagenet10.experiment import Experiment
from refmg_validation.imagenet10.source import Source

SCRIPT = tiny_imagenet.__file__
TWO = ("--splits", "2")
DOUBLE = ("--preset", "micro-double")
# A sum of a pass is one of at most 8 * 16 * 16 numbers; two of them for each of 7 convolutions, there and
# back, in two stages of nine steps, one after the other, of which none amplifies what came before. In another
# order each addition rounds differently, by eps / sqrt(12) on average, and independently (Higham and Mary,
# SIAM J. Sci. Comput. 41, 2019): so many roundings add up to their root, and the largest of thousands of
# parameters is within 3.5 = sqrt(12) deviations. That is 2e-13; measured are 2.3e-14 to 2.6e-14.
BOUND = (2 * 9 * 2 * 2 * 7 * 8 * 16 * 16) ** 0.5 * np.finfo(float).eps
ROUNDED = ("loss", "monitored", "validation_loss")
MEANS = "taking means of 90 photographs, 8 x 8"
STOPPED = "stopped, as --time-limit asked; the same command goes on from here"


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    return write_stripes(tmp_path_factory.mktemp("pictures"), classes=3, each=30)


def command(stripes, output, *more):
    preset = () if "--preset" in more else ("--preset", "micro")
    return ("reproduce", "imagenet10", *preset, "--data", stripes, "--output", output, *more)


def distance(one, other):
    """Return the largest relative difference of two splits' networks and curves; decisions must be equal."""
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    assert len(names) == 4
    found = [0.0]
    for name in names:
        ours, theirs = (load_file(folder / name) for folder in (one, other))
        assert ours.keys() == theirs.keys()
        sizes = {k: float(np.abs(ours[k]).max()) or 1.0 for k in ours}
        found += [float(np.abs(theirs[k] - ours[k]).max()) / sizes[k] for k in ours]
        curves = [without_times(notes_and_arrays(folder / name)[0]["records"]) for folder in (one, other)]
        for a, b in zip(*curves, strict=True):
            kept = [{k: v for k, v in record.items() if k not in (*ROUNDED, "switch")} for record in (a, b)]
            assert kept[0] == kept[1]
            found += [abs(b[k] / a[k] - 1) for k in ROUNDED if a.get(k)]
    return float(np.max(found))  # NaN where one is: max passes over it


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
    assert printed.count(MEANS) == 1
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
    printed = finish(2, SCRIPT, *given)
    assert STOPPED not in printed
    assert MEANS not in printed  # the file of the first time is found
    assert numbers(tmp_path / "out") == numbers(alone)
    # What is finished is not done again.
    files = sorted((tmp_path / "out").glob("seed-*/*.safetensors"))
    begin = [file.stat().st_mtime_ns for file in files]
    finish(2, SCRIPT, *given)
    assert [file.stat().st_mtime_ns for file in files] == begin


@pytest.fixture(scope="module")
def double(stripes, tmp_path_factory):
    """The output of one process in double precision, of two splits."""
    output = tmp_path_factory.mktemp("runs") / "double"
    finish(1, SCRIPT, *command(stripes, output, *DOUBLE, *TWO))
    return output


@pytest.fixture(scope="module")
def shared(stripes, tmp_path_factory):
    """From a number of ranks to output and print of one split that they share."""

    @cache
    def run(ranks):
        output = tmp_path_factory.mktemp("runs") / f"shared-{ranks}"
        return output, finish(ranks, SCRIPT, *command(stripes, output, *DOUBLE))

    return run


@pytest.mark.parametrize("ranks", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_ranks_share_the_batches_of_one_split(double, shared, ranks):
    """Of 9 images for stopping the second batch has one: fewer than ranks."""
    output, printed = shared(ranks)
    # Other bits, for moments are made of parts: each rank alone would have those of one process.
    assert 0 < distance(double / "seed-1", output / "seed-1") <= BOUND
    assert printed.count("seed 1: from random, 16") == 1
    assert printed.count("run.json and report.html are in") == 1
    assert {p.name for p in output.iterdir()} == {p.name for p in double.iterdir()} - {"seed-2"}
    # The comparison finds a curve that is another one.
    with pytest.raises(AssertionError):
        distance(double / "seed-1", double / "seed-2")


def test_groups_share_the_batches_of_a_split_each(double, stripes, tmp_path):
    """Three ranks are groups of two and one: only the first split's sums are rounded in another order."""
    finish(3, SCRIPT, *command(stripes, tmp_path / "out", *DOUBLE, *TWO))
    both = [distance(double / seed, tmp_path / "out" / seed) for seed in ("seed-1", "seed-2")]
    assert 0 < both[0] <= BOUND
    assert both[1] == 0
    assert json.loads((tmp_path / "out" / "run.json").read_text())["seeds"] == [1, 2]


def test_a_shared_split_goes_on_with_any_number_of_ranks(double, stripes, tmp_path):
    """After a limit of time, and after a rank that was killed."""
    given, pids = command(stripes, tmp_path / "out", *DOUBLE), tmp_path / "pids"
    pids.mkdir()
    assert STOPPED in finish(2, SCRIPT, *given, "--time-limit", "0")
    assert begun_epochs(tmp_path / "out" / "seed-1") == 1
    process = start(3, SCRIPT, *given, **{own_process.PIDS: str(pids)})
    while "seed 1: from random, 8" not in process.stdout.readline():
        assert process.poll() is None
    os.kill(int(Path(pids, "2").read_text()), signal.SIGKILL)
    status, _, _, seconds = ended(process)
    assert status != 0
    assert seconds < 20
    assert (tmp_path / "out" / "seed-1" / "from-random-16.safetensors").exists()
    assert STOPPED in finish(1, SCRIPT, *given, "--time-limit", "0")
    finish(2, SCRIPT, *given)
    assert distance(double / "seed-1", tmp_path / "out" / "seed-1") <= BOUND


def test_the_writing_rank_is_killed_while_it_writes_and_the_bits_are_those_of_an_undisturbed_run(
    shared, stripes, tmp_path
):
    """The state of the second stage's second epoch is on the disk, but not in its place."""
    given, folder = command(stripes, tmp_path / "out", *DOUBLE), tmp_path / "out" / "seed-1"
    assert ended(start(2, SCRIPT, *given, **{own_process.DIE: "6"}))[0] != 0
    assert begun_epochs(folder) == 1
    assert len(list(folder.glob(f".*.state.*{PART}"))) == 1
    finish(2, SCRIPT, *given)
    assert numbers(tmp_path / "out") == numbers(shared(2)[0])
    assert not list(folder.glob(f".*{PART}"))


def test_a_stage_that_ends_while_results_are_told_is_told_too(alone, stripes, tmp_path):
    """Groups write ``run.json`` when they like: whoever writes last has what all have finished."""
    output, told = tmp_path / "out", []
    shutil.copytree(alone, output)
    source = Source(stripes, output / "decoded")
    photographs = source.load(16, print)
    experiment = Experiment(tiny_imagenet.MICRO, source, output, {})
    plan = {seed: experiment._stages(seed, photographs) for seed in (1, 2)}
    (file,) = (saved.file for saved in plan[2] if saved.stage.name == "from random, 16")
    content = file.read_bytes()
    file.unlink()

    def finished(results):
        told.append([found["missing"] for found in results])
        file.write_bytes(content)

    experiment._tell(finished, plan, photographs)
    assert told == [[[], ["from random, 16"]], [[], []]]


@pytest.mark.parametrize("more", [(), ("--deterministic",)], ids=["plain sums", "fixed blocks"])
def test_fewer_images_than_ranks_is_one_line(stripes, tmp_path, more):
    given = command(stripes, tmp_path / "out", "--preset", "micro-two", *more)
    status, _, error, _ = ended(start(3, SCRIPT, *given))
    assert status == 2
    (line,) = filter(None, error.splitlines())
    assert line.startswith("refmg: ")
    assert "found 3 ranks for one split; expected at most 2, the images" in line
    assert not (tmp_path / "out" / "seed-1").exists()


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
