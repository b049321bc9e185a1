"""ImageNet-10 on made-up pictures of stripes: whole runs, pieces of runs, killed runs, and their numbers."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import sleep

import numpy as np
import pytest
import tiny_imagenet
from imagenet_records import numbers
from photographs import write_stripes
from rich.console import Console
from signals import heed_interrupts

from refmg import RefmgError, get_backend
from refmg.data import load_photographs
from refmg.resnet import random_resnet, resnet_transfer_names
from refmg_validation.cli import main
from refmg_validation.imagenet10 import experiment, saved_stage
from refmg_validation.imagenet10.deadline import Deadline, TimeIsUpError
from refmg_validation.imagenet10.images import LevelImages, parts_of
from refmg_validation.imagenet10.presets import MORE_WAYS, WAYS, Way, named
from refmg_validation.imagenet10.stages import FINE, paths_of, stages_of
from refmg_validation.imagenet10.summary import seed_rows

MICRO = tiny_imagenet.MICRO
FEW = "--way", "calibrated + BN"


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    return write_stripes(tmp_path_factory.mktemp("pictures"), classes=3, each=30)


def run(stripes, output, *more):
    command = ["reproduce", "imagenet10", "--preset", "micro", "--data", stripes, "--output", output]
    return main([*map(str, [*command, *more])])


@pytest.fixture(scope="module")
def whole(stripes, tmp_path_factory):
    """The output of a run of two splits that nothing interrupted."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert run(stripes, output, "--splits", 2) == 0
    return output


def test_a_run_leaves_figure_record_and_page(whole):
    record = json.loads((whole / "run.json").read_text())
    assert "incomplete" not in record
    assert record["seeds"] == [1, 2]
    assert record["settings"]["data"][0] | {"sha256": ""} == {
        "train": 24, "stopping": 9, "validation": 14, "test": 14, "skipped": 0, "sha256": "",
    }  # fmt: skip
    names = [row["path"] for row in record["summary"]]
    assert names == [FINE, *(way.name for way in MICRO.ways)]
    assert "random" not in names
    assert all(len(row["test"]["values"]) == 2 for row in record["summary"])
    assert (whole / "figure3.png").read_bytes().startswith(b"\x89PNG")
    page = (whole / "report.html").read_text()
    assert "re-estimated" in page
    assert "Table 1" in page


def test_it_learns_more_than_chance(whole):
    """Three kinds of stripes: 1/3 by chance, with a standard deviation of 0.13 for 14 images."""
    record = json.loads((whole / "run.json").read_text())
    assert max(row["validation"]["mean"] for row in record["summary"]) > 1 / 3 + 2 * 0.13 / 2**0.5


def assert_same(some, whole):
    """Compare the stages of one split that was trained in some ways with those of all."""
    found, alone = numbers(some), numbers(whole)
    assert len(found) == 3
    assert found == {name: alone[name] for name in found}


def test_pieces_give_what_a_whole_run_gives_to_the_last_bit(whole, stripes, tmp_path, capsys):
    stopped = "stopped, as --time-limit asked; the same command goes on from here"
    pieces = 0
    while pieces == 0 or stopped in capsys.readouterr().out:
        assert run(stripes, tmp_path, *FEW, "--time-limit", 0) == 0
        pieces += 1
        assert pieces < 20
        if pieces == 4:  # fine-only training has ended long since
            assert "not yet" in json.loads((tmp_path / "run.json").read_text())["incomplete"]
            assert "not yet" in (tmp_path / "report.html").read_text()
    assert pieces > 6
    assert "incomplete" not in json.loads((tmp_path / "run.json").read_text())
    assert_same(tmp_path, whole)


def process(stripes, output):
    places = ["--data", stripes, "--output", output]
    command = [
        sys.executable,
        tiny_imagenet.__file__,
        "reproduce",
        "imagenet10",
        "--preset",
        "micro",
        *FEW,
        *places,
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    pipe = subprocess.PIPE
    return subprocess.Popen([*map(str, command)], stdout=pipe, stderr=pipe, text=True, env=environment,
                            preexec_fn=heed_interrupts)  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_to_the_same_bits(whole, stripes, tmp_path, number):
    begun = process(stripes, tmp_path)
    told = 0
    while told < 4:
        line = begun.stdout.readline()
        assert line, begun.communicate()[1]
        told += "iteration" in line
    begun.send_signal(number)
    _, error = begun.communicate()
    if number == signal.SIGINT:
        assert begun.returncode in (2, -signal.SIGINT)
        assert "the same command goes on" in error
    assert run(stripes, tmp_path, *FEW) == 0
    assert_same(tmp_path, whole)


def test_another_run_may_not_write_here(whole, stripes, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "copy")
    assert run(stripes, tmp_path / "copy", "--sizes", "4,16") == 2
    assert "other settings (preset.sizes" in capsys.readouterr().err
    other = write_stripes(tmp_path / "other", classes=3, each=30, seed=1)
    assert run(other, tmp_path / "copy") == 2
    assert "other settings (data:" in capsys.readouterr().err
    path = next((tmp_path / "copy" / "seed-1").glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    assert run(stripes, tmp_path / "copy") == 2
    assert "delete it to go on" in capsys.readouterr().err


def test_corrupt_pictures_are_counted_or_fail(stripes, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(stripes, data)
    from photographs import write_tar

    write_tar(data / "n00-2.tar", [("n00/bad.jpg", b"junk")])
    assert run(data, tmp_path / "out", "--strict") == 2
    assert "1 of 91 pictures cannot be read, first n00-2.tar:n00/bad.jpg" in capsys.readouterr().err
    assert run(data, tmp_path / "out", "--time-limit", 0) == 0
    assert "left out: n00-2.tar:n00/bad.jpg" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--sizes", "8,12"], "each a divisor of the next"),
        (["--sizes", "0,16"], "to rise from 1 or more"),
        (["--sizes", "16"], "two or more"),
        (["--sizes", "a"], "expected whole numbers"),
        (["--data", "nowhere"], "found no <class>-<part>.tar"),
    ],
)
def test_bad_input_is_one_line(stripes, tmp_path, capsys, more, said):
    assert run(stripes, tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert not (tmp_path / "out").exists()


def test_too_few_classes_or_images_are_refused(stripes, tmp_path, capsys):
    assert main(["reproduce", "imagenet10", "--preset", "huge"]) == 2
    assert "unknown preset 'huge'" in capsys.readouterr().err
    place = ["--data", str(stripes), "--output", str(tmp_path / "out")]
    assert main(["reproduce", "imagenet10", *place]) == 2
    assert "found 3 classes of photographs; expected 10" in capsys.readouterr().err
    with pytest.raises(RefmgError, match="left to train on"):
        parts_of(MICRO, 34)


def test_three_levels_are_data_and_share_the_first_one(stripes, tmp_path):
    three = replace(MICRO.on((4, 8, 16)), ways=(Way("unchanged"), Way("calibrated")))
    assert [stage.name for stage in stages_of(three)] == [
        "from random, 16", "from random, 4", "unchanged + BN, 8", "unchanged + BN, 16",
        "calibrated + BN, 8", "calibrated + BN, 16",
    ]  # fmt: skip
    source = experiment.Source(stripes, tmp_path / "cache")
    session = {"date": "today", "command": "a test"}
    found = experiment.Experiment(three, source, tmp_path / "out", session)
    from refmg_validation.imagenet10.watching import Watching

    results = found.run([1], Watching(Console(quiet=True)), Deadline())
    rows = seed_rows(results[0], three)
    assert [row["path"] for row in rows] == [FINE, "unchanged + BN", "calibrated + BN"]
    assert rows[1]["epochs before"] <= 2 * three.training.epochs


@pytest.fixture
def photographs(stripes, tmp_path):
    return load_photographs(stripes, tmp_path / "cache", 16)


def test_a_stage_that_would_be_too_late_does_not_begin(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("refmg_validation.imagenet10.deadline.monotonic", lambda: now[0])
    deadline = Deadline(480.0, 0.0, 0.0)
    deadline.begins(32**2)
    now[0] = 20.0
    for _ in range(20):  # epochs of 20 seconds, the last one until 420
        deadline.check()
        now[0] += 20
    with pytest.raises(TimeIsUpError):  # epochs of 80 seconds
        deadline.begins(64**2)
    assert deadline.is_over
    Deadline(10.0, 0.0, 0.0).begins(1)  # late already, but nothing has been done yet
    early = Deadline(480.0, 0.0, 0.0)
    now[0] = 20.0
    early.begins(32**2)
    early.check()
    early.begins(64**2)
    assert early.piece == 80


def test_ways_and_precision_are_chosen_by_name(stripes, tmp_path, capsys):
    chosen = named("tiny").with_choices(["linear, strided as plain + BN", "unchanged + BN"], "mixed")
    assert list(paths_of(chosen))[1:] == ["linear, strided as plain + BN", "unchanged + BN"]
    assert chosen.training.precision == "mixed"
    assert named("tiny").with_choices([], "full") == named("tiny")
    assert run(stripes, tmp_path, "--way", "linear + NB") == 2
    assert "unknown way 'linear + NB' (did you mean 'linear + BN'?)" in capsys.readouterr().err
    assert run(stripes, tmp_path, "--precision", "half") == 2
    assert "'half'" in capsys.readouterr().err


def test_every_transfer_of_a_resnet_can_be_trained(stripes, tmp_path):
    assert {way.transfer for way in (*WAYS, *MORE_WAYS)} == set(resnet_transfer_names())
    asked = [f"{transfer} + BN" for transfer in ("spectrum", "full-weighting", "power-law-joint")]
    assert run(stripes, tmp_path, *[part for name in asked for part in ("--way", name)]) == 0
    rows = json.loads((tmp_path / "run.json").read_text())["summary"]
    assert [row["path"] for row in rows] == [FINE, *asked]


def test_no_image_is_in_two_parts_and_coarse_images_are_restrictions(photographs):
    parts = parts_of(MICRO, len(photographs))
    together = np.concatenate(list(parts.values()))
    assert len(set(together)) == len(together)
    coarse, fine = (LevelImages(photographs, MICRO, size).stored("validation") for size in (8, 16))
    means = fine.astype(np.float64).reshape(-1, 3, 8, 2, 8, 2).mean((3, 5)) / 255
    assert np.abs(coarse - means).max() < 4 * np.finfo("f4").eps  # a sum of four and a division


def test_a_training_part_smaller_than_a_batch_is_refused():
    preset = replace(named("tiny"), train=3, batch_size=4)
    with pytest.raises(RefmgError, match="found 3 images to train on in batches of 4"):
        parts_of(preset, 100)
    assert len(parts_of(replace(preset, train=4), 100)["train"]) == 4


def test_warming_up_meets_the_step_of_sgd_with_and_without_momentum(photographs, monkeypatch):
    images, net = LevelImages(photographs, MICRO, 8), random_resnet(MICRO.architecture.on((8, 8)), 0)
    stepped, step = [], type(net.backend).momentum_step

    def noted(self, parameters, gradient, velocity, *numbers):
        stepped.append(velocity is not None)
        return step(self, parameters, gradient, velocity, *numbers)

    monkeypatch.setattr(type(net.backend), "momentum_step", noted)
    before = {name: net.backend.to_numpy(p).copy() for name, p in net.parameters.items()}
    saved_stage.warm_up(net, images)
    assert stepped == [False, True]
    assert all(np.array_equal(net.backend.to_numpy(net.parameters[name]), p) for name, p in before.items())


@pytest.mark.parametrize("size", [8, 16])
def test_no_timed_epoch_reads_images_from_disk(photographs, monkeypatch, size):
    images = LevelImages(photographs, MICRO, size)
    expected = [labels.tolist() for _, labels in images.epoch(0)]
    images = LevelImages(photographs, MICRO, size)
    images.read_ahead()
    monkeypatch.setattr(images, "_read", lambda numbers: pytest.fail("reads while the clock runs"))
    assert [labels.tolist() for _, labels in images.epoch(0)] == expected
    assert sum(len(labels) for _, labels in images.plain("stopping")) == len(images.parts["stopping"])


def test_reading_a_grid_is_counted_alike_by_every_training_there(stripes, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(LevelImages, "read_ahead", lambda self: read.append(self.size) or sleep(0.2))
    told = []
    monkeypatch.setattr(saved_stage.SavedStage, "_finish", lambda self, best, notes: told.append(notes))
    monkeypatch.setattr(saved_stage.SavedStage, "_save", lambda self, *state: None)
    preset = replace(MICRO, ways=(Way("unchanged"),))
    photographs = load_photographs(stripes, tmp_path / "cache", 16)
    images = LevelImages(photographs, preset, 16)
    net = random_resnet(MICRO.architecture.on((8, 8)), 0, MICRO.dtype)
    for stage, before in zip(stages_of(preset)[0::2], (None, lambda: net), strict=True):
        saved = saved_stage.SavedStage(stage, preset, tmp_path, {}, {})
        saved.go(before, images, lambda record: None)
    assert read == [16]
    assert [notes["records"][0]["kind"] for notes in told] == ["start", "switch"]
    assert all(notes["records"][0]["seconds"] >= 0.2 for notes in told)


def test_epochs_depend_on_seed_and_number_alone(photographs):
    images, again = (LevelImages(photographs, MICRO, 16) for _ in range(2))
    list(again.epoch(0))
    for (x, labels), (y, others) in zip(images.epoch(3), again.epoch(3), strict=True):
        assert np.array_equal(*map(get_backend().to_numpy, (x, y)))
        assert np.array_equal(labels, others)
    first, second = (np.concatenate([labels for _, labels in images.epoch(n)]) for n in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.gpu
def test_a_gpu_learns_as_well(stripes, tmp_path, monkeypatch):
    monkeypatch.setenv("REFMG_BACKEND", "cupy")
    assert run(stripes, tmp_path) == 0
    assert json.loads((tmp_path / "run.json").read_text())["backend"] == "cupy"


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("REFMG_DATA"), reason="REFMG_DATA names no folder of photographs")
def test_tiny_on_real_photographs(tmp_path, monkeypatch):
    if not list(Path(os.environ["REFMG_DATA"]).rglob("*-*.tar")):
        pytest.skip("no tars of photographs below REFMG_DATA")
    monkeypatch.setenv("REFMG_BACKEND", "numba")
    assert main(["reproduce", "imagenet10", "--output", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "run.json").read_text())
    # Ten classes: three standard deviations above chance on 540 images.
    assert min(row["test"]["mean"] for row in record["summary"]) > 0.1 + 3 * 0.013
