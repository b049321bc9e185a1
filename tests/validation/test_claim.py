"""Whose an output folder is: no experiment touches another's, interrupted or not."""

import pytest
from multilevel_cases import (
    depth_that_ended,  # noqa: F401
    run,
    tiny,  # noqa: F401
    trained_once,  # noqa: F401
)

from refmg_validation import presets
from refmg_validation.multilevel.presets import DEPTH
from refmg_validation.runs import RunFolder
from refmg_validation.runs.claim import CLAIM


@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_another_experiment_does_not_touch_the_folder(capsys, tmp_path, resume, ended):
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()}
    capsys.readouterr()
    for other in (("pyramid",), ("resolution",), ("resolution", "--seeds", 2)):
        assert run(*other, "--output", "out", *resume) == 2
        assert f"experiment: depth there, {other[0]} now" in capsys.readouterr().err
    assert run("depth", "--output", "out", "--data", tmp_path / "nowhere") == 2
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


def test_a_record_that_nobody_claims_is_not_overwritten(capsys, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("{}")
    assert run("depth", "--output", "out") == 2
    assert "holds the run.json of a run that did not say whose it is" in capsys.readouterr().err
    assert (tmp_path / "out" / "run.json").read_text() == "{}"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"format": "other", "fingerprint": {}}', b"\xff", b"[" * 100_000]
)
def test_a_damaged_claim_is_refused(capsys, tmp_path, content, ended):
    (tmp_path / "out" / CLAIM).write_bytes(content)
    capsys.readouterr()
    assert run("depth", "--output", "out") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert CLAIM in said


@pytest.mark.parametrize("seeds", [(), ("--seeds", 2)])
def test_an_interrupted_run_across_resolutions_keeps_its_folder(capsys, tmp_path, monkeypatch, seeds):
    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(presets.PRESETS, "small", DEPTH["small"].base)  # as tiny as the other experiments
    resolution = ("resolution", "--output", "out", *seeds)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save", pressed)
        assert run(*resolution) == 2
    capsys.readouterr()
    assert run("depth", "--output", "out") == 2
    assert "experiment: resolution there, depth now" in capsys.readouterr().err
    assert not (tmp_path / "out" / "run.json").exists()
    assert run(*resolution) == 0


@pytest.mark.parametrize("seeds", [(), ("--seeds", 2)])
@pytest.mark.parametrize("wrong", [("--data", "nowhere"), ("--seed", -1)])
def test_what_cannot_begin_claims_no_folder(tmp_path, wrong, seeds):
    assert run("resolution", "--output", "out", *wrong, *seeds) == 2
    assert not (tmp_path / "out" / CLAIM).exists()
