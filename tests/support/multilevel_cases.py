"""What the tests of the multilevel experiments share."""

import shutil
from dataclasses import replace

import pytest
from few_blocks import let_few

from refmg_validation.cli import main
from refmg_validation.multilevel import presets
from refmg_validation.presets import PRESETS


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    """One iteration a level on a few shipped digits of 7 x 7, in an empty folder."""
    for name in ("REFMG_DATA", "REFMG_BACKEND", "REFMG_DTYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    let_few(monkeypatch)
    training = replace(PRESETS["small"].training, iterations=1, hessian_examples=30, newton_steps=1)
    base = replace(PRESETS["small"], train=100, validation=30, channels=2, training=training)
    depth = replace(presets.DEPTH["small"], base=base, factors=(4,), depths=(1, 2, 4), short=0)
    pyramid = replace(presets.PYRAMID["small"], base=base, factors=(4, 2), depths=(1, 2))
    monkeypatch.setitem(presets.DEPTH, "small", depth)
    monkeypatch.setitem(presets.PYRAMID, "small", pyramid)


def run(*arguments):
    return main(["reproduce", *map(str, arguments)])


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    return tmp_path_factory.mktemp("depth") / "out"


@pytest.fixture(name="ended")
def depth_that_ended(tiny, tmp_path, trained_once):
    """A copy of what ``reproduce depth`` leaves in ``out``, trained once for all tests of a module."""
    if not trained_once.exists():
        assert run("depth", "--output", trained_once) == 0
    return shutil.copytree(trained_once, tmp_path / "out")


def iteration(layers, number, validation, *, shape=(8,), work=30, seconds=1.0, loss=0.5, classifier_work=0):
    return {
        "kind": "iteration",
        "shape": list(shape),
        "layers": layers,
        "iteration": number,
        "validation": validation,
        "loss": loss,
        "work": work,
        "classifier_work": classifier_work,
        "seconds": seconds,
    }
