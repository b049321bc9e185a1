"""The commands under a real ``mpiexec``: same numbers, one that prints, faults, and going on."""

import json
import os
import re
import signal
from functools import cache
from pathlib import Path

import numpy as np
import own_process
import pytest
import tiny_ranks
import tiny_resolution
from mpi_runs import ended, finish, start
from PIL import Image
from safetensors.numpy import load_file, save_file

from refmg import load_network
from refmg_validation.runs import checkpoint_steps

SCRIPT = tiny_ranks.__file__
LEVELS = ("coarse", "fine")
SECONDS = re.compile(r"\d+\.\d\d / \d+\.\d\d|, \d+ s left")


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images") / "stripes"
    tiny_resolution.write_stripes(folder)
    return folder


def resolution(stripes, output, *more):
    given = ("reproduce", "resolution", "--data", stripes, "--output", output, "--transfer", "calibrated")
    return (*given, *more)


@pytest.fixture(scope="module")
def whole(stripes):
    """From a number of ranks to output and print of a deterministic run."""

    @cache
    def run(ranks):
        output = stripes.parent / f"deterministic-{ranks}"
        return output, finish(ranks, SCRIPT, *resolution(stripes, output, "--deterministic"))

    return run


def numbers(output, level):
    network, notes = load_network(output / f"{level}.safetensors", "numpy")
    return [*vars(network.controls).values(), *vars(network.classifier).values()], notes["history"]


def assert_same_bits(one, other):
    for level in LEVELS:
        (ours, history), (theirs, expected) = numbers(one, level), numbers(other, level)
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
        for a, b in zip(history, expected, strict=True):
            assert (a["loss"], a["gradient_norms"], a["accuracy"], a["validation"]) == (
                b["loss"], b["gradient_norms"], b["accuracy"], b["validation"],
            )  # fmt: skip


def table(printed):
    return SECONDS.sub("", printed[printed.index("Test accuracy") : printed.index("Networks,")])


@pytest.mark.parametrize("ranks", [2, 3])
def test_deterministic_runs_have_the_same_bits_for_every_number_of_ranks(whole, ranks):
    (one, printed), (many, also) = whole(1), whole(ranks)
    assert_same_bits(one, many)
    assert table(printed) == table(also)
    scores = [json.loads((output / "resolution.json").read_text()) for output in (one, many)]
    assert [score.get("ranks") for score in scores] == [None, ranks]


@pytest.mark.slow
def test_compiled_kernels_are_deterministic_over_ranks(stripes, tmp_path):
    pytest.importorskip("numba")
    for ranks in (1, 2, 3):
        given = resolution(stripes, tmp_path / str(ranks), "--deterministic")
        finish(ranks, SCRIPT, *given, REFMG_BACKEND="numba")
        assert_same_bits(tmp_path / "1", tmp_path / str(ranks))


def test_two_ranks_print_the_table_of_one_once(stripes, whole, tmp_path):
    """Without an option: the preset small sums in fixed blocks."""
    one, printed = whole(1)
    also = finish(2, SCRIPT, *resolution(stripes, tmp_path / "2"))
    assert table(printed) == table(also)
    assert_same_bits(one, tmp_path / "2")
    assert also.count("iteration 4 of 4") == len(LEVELS)
    assert sorted(path.name for path in one.iterdir()) == sorted(
        path.name for path in (tmp_path / "2").iterdir()
    )
    # Plain sums are rounded in another order: the comparison of bits finds that.
    finish(2, SCRIPT, *resolution(stripes, tmp_path / "plain", "--plain-sums"))
    with pytest.raises(AssertionError):
        assert_same_bits(one, tmp_path / "plain")


def test_bad_input_is_one_line_and_status_2(tmp_path):
    status, printed, error, _ = ended(start(2, SCRIPT, "reproduce", "depth", "--data", tmp_path / "no"))
    assert status == 2
    assert printed.strip() == ""
    (line,) = filter(None, error.splitlines())
    assert line.startswith(f"refmg: found no folder {tmp_path / 'no'}; expected one with the four IDX files")


@pytest.mark.parametrize(("kind", "status"), [("input", 2), ("mistake", 1)])
def test_a_rank_that_fails_alone_ends_all_with_its_message(stripes, tmp_path, kind, status):
    process = start(2, SCRIPT, *resolution(stripes, tmp_path / "out"), **{tiny_ranks.FAIL: f"1:{kind}"})
    found, _, error, _ = ended(process)
    assert found == status
    assert "rank 1: " in error
    assert "found a comet; expected none" in error
    assert checkpoint_steps(tmp_path / "out" / "coarse") == [0, 1]


def test_killed_it_goes_on_with_another_number_of_ranks(stripes, whole, tmp_path):
    given, pids = resolution(stripes, tmp_path / "out", "--deterministic"), tmp_path / "pids"
    pids.mkdir()
    process = start(2, SCRIPT, *given, **{own_process.PIDS: str(pids)})
    while "iteration 2 of" not in process.stdout.readline():
        assert process.poll() is None
    os.kill(int(Path(pids, "1").read_text()), signal.SIGKILL)
    status, _, _, seconds = ended(process)
    assert status != 0
    assert seconds < 20
    assert max(checkpoint_steps(tmp_path / "out" / "coarse")) >= 2
    finish(3, SCRIPT, *given, "--resume")
    assert_same_bits(whole(1)[0], tmp_path / "out")


def test_seeds_are_divided_among_groups_of_ranks(stripes, whole, tmp_path):
    given = resolution(stripes, tmp_path / "out", "--deterministic", "--seeds", "2")
    finish(3, SCRIPT, *given)
    assert_same_bits(whole(1)[0], tmp_path / "out" / "seed-0")
    found = json.loads((tmp_path / "out" / "seeds.json").read_text())
    alone = json.loads((whole(1)[0] / "resolution.json").read_text())["rows"][0]
    assert found["seeds"] == [0, 1]
    assert found["summary"]["native"]["fine_test"]["values"][0] == alone["fine_test"]
    files = [tmp_path / "out" / seed / "measured.json" for seed in ("seed-0", "seed-1")]
    begin = [file.stat().st_mtime_ns for file in files]
    # With another number of ranks nothing is done again.
    assert "Networks of each seed" in finish(2, SCRIPT, *given)
    assert [file.stat().st_mtime_ns for file in files] == begin


def test_a_model_file_is_moved_by_the_spectrum_of_shared_pictures(tmp_path):
    rng = np.random.default_rng(0)
    save_file({"stem.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32)}, tmp_path / "in.safetensors")
    for k in range(5):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(tmp_path / f"{k}.png")
    given = ("transfer", tmp_path / "in.safetensors", "--to", "coarse", "--transfer", "spectrum")
    given += ("--images", tmp_path, "--size", "8", "--deterministic")
    for ranks in (1, 3):
        printed = finish(ranks, SCRIPT, *given, "--output", tmp_path / f"{ranks}.safetensors")
        assert printed.count("1 of 1 tensors moved") == 1
    one, three = (load_file(tmp_path / f"{ranks}.safetensors")["stem.weight"] for ranks in (1, 3))
    assert np.array_equal(one, three)
