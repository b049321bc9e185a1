"""The command line: what it prints, what it writes, and one line for every bad input."""

import errno
import json
import os
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import typer

import refmg_validation
from refmg import RefmgError, __version__, load_network, network_transfer_names
from refmg_validation import example1
from refmg_validation.cli import main
from refmg_validation.provenance import provenance
from refmg_validation.run_reading import read_run
from refmg_validation.runs import FolderLock, RunFolder

RESULTS = Path(refmg_validation.__file__).parents[1] / "results"
pytestmark = pytest.mark.usefixtures("tiny_preset")


def run(*arguments):
    return main([*map(str, arguments)])


def error_line(capsys):
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("refmg: ")
    return captured.err


def test_info_names_backend_and_precision(capsys):
    assert run("info") == 0
    assert "numpy (of adversarial-numpy, array-api-strict, cupy, numba, numpy)" in capsys.readouterr().out


def test_example1_finds_the_pair_of_the_paper(capsys, tmp_path):
    assert run("reproduce", "example1", "--output", "out") == 0
    printed = capsys.readouterr().out
    assert "0.00625" in printed
    assert "'linear' and 'full-weighting'" in printed
    assert (tmp_path / "out" / "figure1.png").read_bytes().startswith(b"\x89PNG")


def test_example1_rejects_the_other_pair():
    assert {c.transfer for c in example1.compare_all() if not c.explains} == {"average"}


def test_resolution_writes_table_networks_and_records(capsys, tmp_path):
    assert (
        run("reproduce", "resolution", "--output", "out", "--transfer", "linear", "--transfer", "average")
        == 0
    )
    printed = capsys.readouterr().out
    for words in ("98.28", "61.0", "native", "iteration 2 of 2", "points"):
        assert words in printed
    result = json.loads((tmp_path / "out" / "resolution.json").read_text())
    assert [row["network"] for row in result["rows"]] == [
        "native",
        "linear",
        "average",
        "unchanged",
        "images resized",
    ]
    assert load_network(tmp_path / "out" / "fine.safetensors")[0].architecture.shape == (28, 28)
    run_record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [series["name"] for series in run_record["series"]] == ["coarse images", "fine images"]
    assert [len(series["rows"]) for series in run_record["series"]] == [3, 3]
    assert run("report", "out") == 0
    assert "resolution.png" not in (tmp_path / "out" / "report.html").read_text()  # it is in the page
    assert "open out/report.html" in capsys.readouterr().out


def test_all_transfers_are_those_that_there_are(tmp_path):
    assert run("reproduce", "resolution", "--output", "out", "--transfer", "all") == 0
    result = json.loads((tmp_path / "out" / "resolution.json").read_text())
    named = {row["network"] for row in result["rows"]} - {"native", "images resized"}
    # 120 training images: more than the 100 of one row, fewer than the 500 of another.
    calibrated = {"calibrated, 100 images", "calibrated, 120 images"}
    assert named == {*network_transfer_names()} - {"calibrated"} | calibrated
    for row in result["rows"]:
        moved = row["network"] not in ("native", "images resized")
        for level in ("coarse", "fine"):
            assert (row[f"{level}_seconds"] or 0) > 0 if moved else row[f"{level}_seconds"] is None


def test_older_records_are_read_and_say_how_many_images_calibration_saw(tmp_path):
    folder = tmp_path / "older"
    for record, train, images in (("2026-11-24-resolution-paper", 50_000, None), ("transfers", 3500, 2000)):
        shutil.copytree(RESULTS / record, folder)
        found = read_run(folder)
        names = [row[0] for row in found["tables"][0]["rows"]]
        assert found["settings"]["data"]["train"] == train
        if images:
            assert f"from the other resolution, by 'calibrated', {images} images" in names
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("arguments", "goes_on"),
    [
        (["reproduce", "depth"], True),
        (["reproduce", "resolution"], True),
        (["reproduce", "imagenet10"], True),
        (["reproduce", "example1"], False),
        (["verify"], False),
        (["fetch"], False),
        (["reproduce"], False),
        ([], False),
    ],
)
def test_ctrl_c_promises_only_what_holds(capsys, monkeypatch, arguments, goes_on):
    def pressed(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(typer.main, "get_command", lambda app: pressed)
    assert main(arguments) == 2
    expected = "; the same command goes on after the last finished iteration" if goes_on else ""
    assert capsys.readouterr().err == f"refmg: interrupted{expected}\n"


def test_an_interrupted_run_goes_on_to_the_same_result(capsys, tmp_path, monkeypatch):
    assert run("reproduce", "resolution", "--output", "whole") == 0
    save, saved = RunFolder.save, []

    def interrupted(*arguments):
        save(*arguments)
        saved.append(arguments)
        if len(saved) == 5:
            raise KeyboardInterrupt

    seconds = count()  # two sessions of one second could not be told apart

    def dated():
        return provenance() | {"date": f"second {next(seconds)}"}

    monkeypatch.setattr("refmg_validation.resolution.provenance", dated)
    monkeypatch.setattr(RunFolder, "save", interrupted)
    capsys.readouterr()
    assert run("reproduce", "resolution", "--output", "parts") == 2
    assert "interrupted" in error_line(capsys)
    assert run("reproduce", "resolution", "--output", "parts") == 0
    whole, parts = (load_network(tmp_path / name / "fine.safetensors")[0] for name in ("whole", "parts"))
    assert np.array_equal(whole.classifier.W, parts.classifier.W)
    sessions = json.loads((tmp_path / "parts" / "run.json").read_text())["sessions"]
    assert [session["paths"] for session in sessions] == [["coarse"], ["fine"], ["fine"]]


def test_a_damaged_checkpoint_is_refused_with_the_last_good_one(capsys, tmp_path):
    arguments = ["reproduce", "resolution", "--output", "out"]
    assert run(*arguments) == 0
    finished, coarse = tmp_path / "out" / "coarse.safetensors", tmp_path / "out" / "coarse"
    before = load_network(finished)[0]
    finished.unlink()
    last = coarse / "checkpoint-000002.safetensors"
    last.write_bytes(last.read_bytes()[:-1])
    capsys.readouterr()
    assert run(*arguments) == 2
    said = "the last good one is checkpoint-000001.safetensors: delete checkpoint-000002.safetensors to go on"
    assert said in error_line(capsys)
    last.unlink()
    assert run(*arguments) == 0
    assert np.array_equal(load_network(finished)[0].classifier.W, before.classifier.W)


def test_a_full_disk_gives_one_line_and_the_run_goes_on(capsys, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert run("reproduce", "resolution", "--output", "out") == 2
    assert "No space left on device" in error_line(capsys)
    assert run("reproduce", "resolution", "--output", "out") == 0


def test_a_second_command_in_the_same_folder_is_refused(capsys):
    for arguments in ([], ["--seeds", 2]):
        with FolderLock("out"):
            assert run("reproduce", "resolution", "--output", "out", *arguments) == 2
        assert f"out is in use by process {os.getpid()} " in error_line(capsys)


def test_resume_wants_something_to_resume(capsys):
    arguments = ["reproduce", "resolution", "--output", "out"]
    assert run(*arguments, "--resume") == 2
    assert "found no run in out to resume" in error_line(capsys)
    assert not os.listdir()
    assert run(*arguments) == 0
    assert run(*arguments, "--resume") == 0


def test_a_folder_of_another_run_is_refused(capsys):
    assert run("reproduce", "resolution", "--output", "out") == 0
    capsys.readouterr()
    assert run("reproduce", "resolution", "--output", "out", "--seed", 1) == 2
    assert "other settings" in error_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "smal"], "unknown preset 'smal' (did you mean 'small'?)"),
        (["--transfer", "liner"], "unknown transfer 'liner' (did you mean 'linear'?)"),
        (["--data", "nowhere"], "found no folder nowhere"),
        (["--preset", "paper"], "needs 60000 training images; found 4000"),
        (["--seed", "-1"], "-1"),
        (["--seeds", "0"], "'--seeds'"),
        (["--regularization", "week"], "unknown regularization 'week' (did you mean 'weak'?)"),
        (["--colour"], "--colour"),
    ],
)
def test_bad_arguments_give_one_line_and_status_2(capsys, arguments, said):
    assert run("reproduce", "resolution", *arguments) == 2
    assert said in error_line(capsys)
    assert not os.listdir()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("REFMG_BACKEND", "nunpy", "did you mean 'numpy'?"),
        ("REFMG_DTYPE", "float16", "unknown dtype 'float16'"),
        ("REFMG_BAKEND", "numpy", "unknown environment variable"),
        ("REFMG_DATA", "/nowhere", "found no folder /nowhere"),
    ],
)
def test_bad_environment_gives_one_line_and_status_2(capsys, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    assert run("reproduce", "resolution") == 2
    assert said in error_line(capsys)


def test_an_output_that_cannot_be_written_gives_one_line(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert run("reproduce", "example1", "--output", "file/below") == 2
    assert "could not write" in error_line(capsys)


def test_a_damaged_network_is_refused(capsys, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "coarse.safetensors").write_bytes(b"junk")
    assert run("reproduce", "resolution", "--output", "out") == 2
    assert "cannot read" in error_line(capsys)


def test_every_error_of_refmg_is_a_value_error():
    assert issubclass(RefmgError, ValueError)


@pytest.mark.parametrize(
    ("arguments", "see"),
    [
        (["transfer"], "refmg transfer --help"),
        (["reproduce", "example1", "--nothing"], "refmg reproduce example1 --help"),
        (["nothing"], "refmg --help"),
    ],
)
def test_a_misused_command_names_its_own_help(capsys, arguments, see):
    assert main(arguments) == 2
    assert capsys.readouterr().err.endswith(f"(see {see})\n")


def test_the_version_is_printed_without_a_backend(capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("refmg_backends.get_backend", None)
        assert run("--version") == 0
    assert capsys.readouterr() == (f"{__version__}\n", "")
    assert run("--versions") == 2
    assert "No such option: --versions" in capsys.readouterr().err
