"""Tables, costs and times of the multilevel experiments; runs in use, killed and interrupted."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from multilevel_cases import (
    iteration,
    run,
    tiny,  # noqa: F401
)
from rich.console import Console

from refmg import Architecture, load_network
from refmg.atomic import PART
from refmg.multilevel import ImagePyramid, Level
from refmg.optimization import StochasticSettings
from refmg_validation.multilevel import presets, run_clock
from refmg_validation.multilevel.costs import classifier_share, with_costs
from refmg_validation.multilevel.paths import TrainingPath, depth_paths
from refmg_validation.multilevel.saved_path import SavedPath
from refmg_validation.multilevel.spread import over_seeds
from refmg_validation.multilevel.tables import switch_table
from refmg_validation.multilevel.watching import Watching
from refmg_validation.runs import FolderLock

SGD = StochasticSettings("sgd", 0.01, epochs=2, examples=8)


def test_rows_that_a_seed_has_not_are_left_out():
    first = [{"layers": 2, "work": 1.0}, {"layers": 4, "work": 2.0}]
    found = over_seeds([first, first[:1]], ("layers",))
    assert [row["work"]["values"] for row in found] == [[1.0, 1.0], [2.0]]


def test_costs_count_the_classifier():
    """A product with 5 channels and 3 classes is a third of one with 3 x 3 taps from 5 to 5 channels, / 5."""
    largest = Architecture((8, 8), channels=5, layers=2, classes=3)
    assert classifier_share(largest) == 15 / 225
    rows = [iteration(2, 0, 0.5, shape=(8, 8), work=0, classifier_work=150)]
    rows += [iteration(2, 0, 0.5, shape=(4, 4), work=0, classifier_work=150)]
    found = [row["total_work"] for row in with_costs(rows, largest, 10)]
    assert found == pytest.approx([150 * (15 / 225) / 20, 1.25 * 150 * (15 / 225) / 20], rel=1e-15)
    hamiltonian = Architecture((8, 8), channels=4, layer="hamiltonian", integrator="verlet", classes=3)
    assert classifier_share(hamiltonian) == 12 / 72


def test_the_time_left_is_that_of_all_paths(monkeypatch):
    now, stream = [0.0], io.StringIO()
    monkeypatch.setattr(run_clock, "monotonic", lambda: now[0])
    settings = replace(SGD, epochs=2)
    a = Architecture((4, 4), channels=2, classes=2)
    paths = [TrainingPath(name, a, (Level((4, 4), 2, settings=settings),)) for name in "pq"]
    watching = Watching(Console(file=stream, width=200))
    watching.begin([*paths, *paths], 10)
    for seed in (0, 1):
        for path in paths:
            with watching.path(seed, path, 10) as told:
                for number in range(2):
                    saved = {"saved": True} if (seed, path.name) == (0, "p") else {}
                    now[0] += 0 if saved else 60
                    told(iteration(2, number, 0.5, shape=(4, 4)) | {"level": 0, "iteration": number} | saved)
    said = [line.split(", ")[-1] for line in stream.getvalue().splitlines() if "whole run" in line]
    # The first path was there already; six iterations of a minute remain.
    assert said == [f"whole run {left} left" for left in ("5 min", "4 min", "3 min", "2 min", "60 s", "0 s")]


def test_the_run_says_how_long_it_still_takes(capsys):
    assert run("depth", "--output", "out") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "iteration" in line]
    lines = [line for line in lines if line.startswith("7 x 7, ")]
    assert len(lines) == 2 * (3 + 2)
    assert all("whole run" in line for line in lines)
    assert lines[-1].endswith("whole run 0 s left")


def test_the_precision_that_was_asked_for_is_taken(capsys, monkeypatch, tmp_path):
    assert run("depth", "--output", "single") == 0
    monkeypatch.setenv("REFMG_DTYPE", "float64")
    assert run("depth", "--output", "double") == 0
    for name in ("single", "double"):
        network, _ = load_network(tmp_path / name / "seed-0" / "prolonged.safetensors")
        assert network.dtype == {"single": "float32", "double": "float64"}[name]
        assert json.loads((tmp_path / name / "run.json").read_text())["settings"]["dtype"] == network.dtype
    capsys.readouterr()
    assert run("depth", "--output", "single") == 2
    assert "dtype: float32 there, float64 now" in capsys.readouterr().err


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    assert run("depth", "--output", "out") == 0
    part = tmp_path / "out" / "seed-0" / f".prolonged.safetensors.x{PART}"
    part.touch()
    assert run("depth", "--output", "out", "--resume") == 0
    assert not part.exists()


def test_a_folder_in_use_and_a_damaged_network_are_refused(capsys, tmp_path):
    with FolderLock(tmp_path / "out"):
        assert run("depth", "--output", "out") == 2
    assert "is in use by process" in capsys.readouterr().err
    (tmp_path / "out" / "seed-0").mkdir(parents=True)
    (tmp_path / "out" / "seed-0" / "prolonged.safetensors").write_bytes(b"junk")
    assert run("depth", "--output", "out") == 2
    assert "delete it to go on from the last checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("settings", [SGD, replace(SGD, method="adam")], ids=["sgd", "adam"])
def test_checkpoints_hold_the_state_of_the_optimiser(tmp_path, settings):
    rng = np.random.default_rng(0)
    images = ImagePyramid(rng.normal(size=(1, 8, 8, 20)), np.arange(20) % 2)
    pyramids = dict.fromkeys(("train", "validation", "test"), images)
    levels = (Level((4, 4), settings=settings), Level((8, 8), 4, settings=settings))
    path = TrainingPath("p", Architecture((4, 4), channels=2, classes=2), levels)

    def interrupted(record):
        raise KeyboardInterrupt

    whole = SavedPath(tmp_path / "whole", path, 0, "float64", {}).go(pyramids, lambda record: None)
    parts = SavedPath(tmp_path / "parts", path, 0, "float64", {})
    with pytest.raises(KeyboardInterrupt):
        parts.go(pyramids, interrupted)
    found = parts.go(pyramids, lambda record: None)
    assert [record.get("loss") for record in found] == [record.get("loss") for record in whole]


def test_an_interrupted_run_tells_where_it_was(tmp_path):
    told = []
    path = depth_paths(presets.DEPTH["small"], (28, 28), 10)[0]
    rng = np.random.default_rng(0)
    images = ImagePyramid(rng.random(size=(1, 28, 28, 20), dtype=np.float32), np.arange(20) % 10)
    saved = SavedPath(tmp_path / "one", path, 0, "float32", {})
    saved.go(dict.fromkeys(("train", "validation", "test"), images), lambda record: None)
    saved.go({}, told.append)
    assert [(record["level"], record["iteration"]) for record in told] == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("depth", "--preset", "smal"), "unknown preset 'smal' (did you mean 'small'?)"),
        (("depth", "--preset", "paper"), "needs 60000 training images"),
        (("depth", "--seed", "-1"), "'--seed'"),
        (("pyramid", "--seeds", "0"), "'--seeds'"),
        (("depth", "--regularization", "none"), "unknown regularization 'none'"),
        (("depth", "--resume"), "found no run in depth-output to resume"),
        (("pyramid", "--transfer", "liner"), "unknown transfer 'liner'"),
    ],
)
def test_bad_arguments_give_one_line_and_status_2(capsys, tmp_path, arguments, said):
    assert run(*arguments) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_table_of_switches_shows_growth_and_restarts(capsys):
    parts = [{"name": "W", "action": "moved"}, {"name": "momentum", "action": "restarted"}]
    scores = {"loss": 0.5, "accuracy": 0.75, "validation_accuracy": None}
    record = {
        "old": {"shape": [7, 7], "layers": 2},
        "new": {"shape": [14, 14], "layers": None},
        "layers": 2,
        "parts": parts,
        "largest_growth": 3.5,
        "before": scores,
        "after": scores | {"loss": 0.625},
    }
    Console(width=110).print(switch_table([record], "one"))
    printed = capsys.readouterr().out
    for words in ("7 x 7, 2 layers", "14 x 14, 2 layers", "momentum", "3.50", "0.500", "0.625", "75.0", "-"):
        assert words in printed
